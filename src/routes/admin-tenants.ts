/** `POST /admin/v1/tenants` and `GET /admin/v1/tenants`. */
import type { Hono } from "hono";
import { z } from "zod";
import { type Tenant, createTenant, listTenants } from "../admission/tenants.ts";
import { readBody } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

const NewTenant = z.strictObject({ name: z.string() });

export function tenantRoutes(app: Hono<AdminEnv>, { store }: AdminOptions): void {
  app.post("/tenants", async (c) => {
    const { name } = await readBody(c, NewTenant);
    return c.json(tenantJson(await createTenant(store, c.get("admin").id, name)), 201);
  });
  app.get("/tenants", async (c) => {
    const tenants = await listTenants(store);
    return c.json({ data: tenants.map((tenant) => Object.assign(tenantJson(tenant), { keys: tenant.keys })) });
  });
}

function tenantJson({ id, name, createdAt, archivedAt }: Tenant) {
  return { id, name, created_at: createdAt.toISOString(), archived_at: archivedAt?.toISOString() ?? null };
}
