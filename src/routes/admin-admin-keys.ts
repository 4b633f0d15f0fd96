/** `POST /admin/v1/admin-keys`, `GET /admin/v1/admin-keys` and `POST /admin/v1/admin-keys/{id}/revoke`. */
import type { Hono } from "hono";
import { z } from "zod";
import { type AdminKey, createAdminKey, listAdminKeys, revokeAdminKey } from "../admission/admin-keys.ts";
import { readBody } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

export const NewAdminKeyBody = z.strictObject({ name: z.string(), access: z.enum(["read", "write"]) });

export function adminKeyRoutes(app: Hono<AdminEnv>, { store, pepper }: AdminOptions): void {
  app.post("/admin-keys", async (c) => {
    const wanted = await readBody(c, NewAdminKeyBody);
    const { secret, ...key } = await createAdminKey(store, pepper, c.get("admin").id, wanted);
    return c.json({ ...adminKeyJson(key), key: secret }, 201);
  });
  app.get("/admin-keys", async (c) => c.json({ data: (await listAdminKeys(store)).map(adminKeyJson) }));
  app.post("/admin-keys/:id/revoke", async (c) =>
    c.json(adminKeyJson(await revokeAdminKey(store, c.get("admin").id, c.req.param("id")))),
  );
}

function adminKeyJson(key: AdminKey) {
  return {
    id: key.id,
    name: key.name,
    access: key.access,
    hint: key.hint,
    created_at: key.createdAt.toISOString(),
    created_by: key.createdBy,
    revoked_at: key.revokedAt?.toISOString() ?? null,
  };
}
