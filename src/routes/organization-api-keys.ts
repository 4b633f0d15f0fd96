/** `/v1/organizations/api_keys`: virtual keys in the shape of Anthropic's API keys. Made they are elsewhere (POST /admin/v1/keys), as with Anthropic. */
import type { Hono } from "hono";
import { z } from "zod";
import { type VirtualKey, listKeys, revokeKey } from "../admission/keys.ts";
import { renameKey } from "../admission/tenant-changes.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { Store } from "../db/open-store.ts";
import { filterText, readBody } from "./admin-input.ts";
import type { AdminOptions } from "./admin.ts";
import { PageQuery, one, pageOf, readQueries } from "./organization-input.ts";
import { type OrganizationEnv, adminOf } from "./organization-caller.ts";

const STATES = ["active", "inactive", "archived", "expired"] as const;
export const ApiKeysQuery = PageQuery.extend({ workspace_id: one(filterText), status: one(z.enum(STATES)) });
export const ApiKeyBody = z.object({
  name: z.string().nullish(),
  status: z.enum(["active", "inactive", "archived"]).nullish(),
});

export function apiKeyRoutes(app: Hono<OrganizationEnv>, { store, keyRing }: AdminOptions): void {
  app.get("/v1/organizations/api_keys", async (c) => {
    const { workspace_id, status, ...page } = readQueries(c, ApiKeysQuery);
    const all = (await listKeys(store))
      .filter((key) => workspace_id === undefined || key.tenantId === workspace_id)
      .map(apiKeyJson)
      .filter((key) => status === undefined || key.status === status);
    return c.json(pageOf(all, page));
  });
  app.get("/v1/organizations/api_keys/:id", async (c) => c.json(await apiKey(store, c.req.param("id"))));
  app.post("/v1/organizations/api_keys/:id", async (c) => {
    const id = c.req.param("id");
    const { name, status } = await readBody(c, ApiKeyBody);
    const before = await apiKey(store, id);
    if (status === "inactive" || (status === "active" && before.status !== "active"))
      throw new GatewayError(
        "invalid_request",
        "keys are archived for good here and cannot be paused; make a new one",
        {
          param: "status",
        },
      );
    if (name !== undefined && name !== null) await renameKey(store, adminOf(c).id, id, name);
    if (status === "archived") {
      await revokeKey(store, adminOf(c).id, id);
      keyRing.forget(id);
    }
    return c.json(await apiKey(store, id));
  });
}

async function apiKey(store: Store, id: string) {
  const found = (await listKeys(store)).find((key) => key.id === id);
  if (found === undefined) throw new GatewayError("not_found", `there is no API key with the id ${id}`);
  return apiKeyJson(found);
}

function apiKeyJson(key: VirtualKey) {
  return {
    id: key.id,
    type: "api_key",
    name: key.name,
    workspace_id: key.tenantId,
    scope: { type: "workspace", workspace_id: key.tenantId },
    status: statusOf(key),
    partial_key_hint: key.hint,
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
    created_by: null,
    principal: null,
  };
}

function statusOf({ revokedAt, tenantArchivedAt, expiresAt }: VirtualKey): (typeof STATES)[number] {
  if (revokedAt !== null || tenantArchivedAt !== null) return "archived";
  return expiresAt !== null && expiresAt.getTime() <= Date.now() ? "expired" : "active";
}
