/** `/v1/organizations/workspaces`: tenants in the shape of Anthropic's workspaces. */
import type { Hono } from "hono";
import { z } from "zod";
import { archiveTenant, renameTenant } from "../admission/tenant-changes.ts";
import { type Tenant, createTenant, listTenants, tenantById } from "../admission/tenants.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { Store } from "../db/open-store.ts";
import { readBody } from "./admin-input.ts";
import type { AdminOptions } from "./admin.ts";
import { PageQuery, one, pageOf, readQueries } from "./organization-input.ts";
import { type OrganizationEnv, adminOf } from "./organization-caller.ts";

/** Of Anthropic's other fields (residency, encryption keys, colours) a tenant has none: they are accepted and change nothing. */
export const WorkspaceBody = z.object({ name: z.string() });
export const WorkspacesQuery = PageQuery.extend({ include_archived: one(z.enum(["true", "false"])) });

export function workspaceRoutes(app: Hono<OrganizationEnv>, { store, keyRing }: AdminOptions): void {
  app.get("/v1/organizations/workspaces", async (c) => {
    const query = readQueries(c, WorkspacesQuery);
    const all = (await listTenants(store)).map(workspaceJson);
    return c.json(
      pageOf(query.include_archived === "true" ? all : all.filter((each) => each.archived_at === null), query),
    );
  });
  app.post("/v1/organizations/workspaces", async (c) => {
    const { name } = await readBody(c, WorkspaceBody);
    return c.json(workspaceJson(await createTenant(store, adminOf(c).id, name)));
  });
  app.get("/v1/organizations/workspaces/:id", async (c) => c.json(await workspace(store, c.req.param("id"))));
  app.post("/v1/organizations/workspaces/:id", async (c) => {
    const { name } = await readBody(c, WorkspaceBody.partial());
    const id = c.req.param("id");
    if (name !== undefined) await renameTenant(store, adminOf(c).id, id, name);
    return c.json(await workspace(store, id));
  });
  app.post("/v1/organizations/workspaces/:id/archive", async (c) => {
    const id = c.req.param("id");
    for (const key of await archiveTenant(store, adminOf(c).id, id)) keyRing.forget(key);
    return c.json(await workspace(store, id));
  });
}

async function workspace(store: Store, id: string) {
  const found = await tenantById(store, id);
  if (found === undefined) throw new GatewayError("not_found", `there is no workspace with the id ${id}`);
  return workspaceJson(found);
}

/** What would be said of Anthropic's own servers is null: nothing here knows where the engines stand. */
function workspaceJson({ id, name, createdAt, archivedAt }: Tenant) {
  return {
    id,
    type: "workspace",
    name,
    created_at: createdAt.toISOString(),
    archived_at: archivedAt?.toISOString() ?? null,
    display_color: "#6B7280",
    compartment_id: null,
    data_residency: null,
    external_key_id: null,
    user_profile_id: null,
    tags: {},
  };
}
