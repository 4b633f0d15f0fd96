/** `POST /admin/v1/keys`, `GET /admin/v1/keys`, `POST /admin/v1/keys/{id}` and `POST /admin/v1/keys/{id}/revoke`. */
import type { Hono } from "hono";
import { z } from "zod";
import { type VirtualKey, changeKey, createKey, listKeys, revokeKey } from "../admission/keys.ts";
import { filterText, readBody, readQuery, timeText } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

export const NewKeyBody = z.strictObject({
  tenant: filterText,
  name: z.string().optional(),
  expires_at: timeText.optional(),
  models: z.array(z.string()).optional(),
});
export const KeyChangeBody = z.strictObject({
  expires_at: timeText.nullable().optional(),
  models: z.array(z.string()).nullable().optional(),
});
export const KeysQuery = z.strictObject({ tenant: filterText.optional() });

export function keyRoutes(app: Hono<AdminEnv>, { store, keyRing, pepper }: AdminOptions): void {
  app.post("/keys", async (c) => {
    const { expires_at: expiresAt, ...wanted } = await readBody(c, NewKeyBody);
    const { secret, tenantCreated, ...key } = await createKey(store, pepper, c.get("admin").id, {
      ...wanted,
      expiresAt,
    });
    const { id, ...rest } = keyJson(key);
    return c.json({ id, key: secret, ...rest, tenant_created: tenantCreated }, 201);
  });
  app.get("/keys", async (c) => {
    const keys = await listKeys(store, readQuery(c, KeysQuery));
    return c.json({ data: keys.map(keyJson) });
  });
  app.post("/keys/:id", async (c) => {
    const { expires_at: expiresAt, models } = await readBody(c, KeyChangeBody);
    const key = await changeKey(store, c.get("admin").id, c.req.param("id"), { expiresAt, models });
    keyRing.renew(key.id);
    return c.json(keyJson(key));
  });
  app.post("/keys/:id/revoke", async (c) => {
    const key = await revokeKey(store, c.get("admin").id, c.req.param("id"));
    keyRing.forget(key.id);
    return c.json(keyJson(key));
  });
}

function keyJson(key: VirtualKey) {
  return {
    id: key.id,
    tenant: key.tenant,
    tenant_id: key.tenantId,
    tenant_archived_at: key.tenantArchivedAt?.toISOString() ?? null,
    name: key.name,
    hint: key.hint,
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
    models: key.models,
    revoked_at: key.revokedAt?.toISOString() ?? null,
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  };
}
