/**
 * Anthropic's Admin API, `/v1/organizations/*`, as its clients know it, and `GET /api/oauth/usage` as Claude Code does: who may call
 * what, and how failures look. An organization is this gateway, a workspace is a tenant, an API key a virtual key.
 * docs/admin-api.md is its reference, /admin/openapi.json its description for machines.
 */
import { Hono } from "hono";
import { GatewayError, retryHeaders } from "../conversation/errors.ts";
import { newRequestId } from "../gateway/request-id.ts";
import { adminError } from "./admin-error.ts";
import type { AdminOptions } from "./admin.ts";
import { openApiDocument } from "./openapi.ts";
import { apiKeyRoutes } from "./organization-api-keys.ts";
import { type OrganizationEnv, callerOf } from "./organization-caller.ts";
import { reportRoutes } from "./organization-reports.ts";
import { spendLimitRoutes } from "./organization-spend-limits.ts";
import { workspaceRoutes } from "./organization-workspaces.ts";
import { ownUsageRoute } from "./own-usage.ts";

/** What a tenant's key may call, for itself; all else is for administrators. */
const FOR_TENANTS = new Set(["/v1/organizations/usage_report/messages", "/api/oauth/usage"]);

/** The app answers full paths: hand it `/v1/organizations/…`, `/api/oauth/usage` and `/admin/openapi.json`. */
export function organizationApp(options: AdminOptions): Hono<OrganizationEnv> {
  const { onFault = () => {} } = options;
  const app = new Hono<OrganizationEnv>();

  app.use(async (c, next) => {
    const requestId = newRequestId();
    c.set("requestId", requestId);
    c.header("request-id", requestId);
    c.header("cache-control", "no-store");
    await next();
  });
  app.get("/admin/openapi.json", (c) => c.json(openApiDocument()));
  app.use(async (c, next) => {
    const caller = await callerOf(c, options);
    if (caller.kind === "key" && !(c.req.method === "GET" && FOR_TENANTS.has(c.req.path)))
      throw new GatewayError("forbidden", "a tenant's key may read its own usage and nothing else; use an admin key");
    if (caller.kind === "admin" && caller.admin.access === "read" && c.req.method !== "GET" && c.req.method !== "HEAD")
      throw new GatewayError("forbidden", "this admin key may only read; use one that was made with --write");
    c.set("caller", caller);
    await next();
  });
  workspaceRoutes(app, options);
  apiKeyRoutes(app, options);
  reportRoutes(app, options);
  spendLimitRoutes(app, options);
  ownUsageRoute(app, options);

  app.notFound((c) => {
    throw new GatewayError("not_found", `${c.req.method} ${c.req.path} is not served here; see /admin/openapi.json`);
  });
  app.onError((thrown, c) => {
    const error = adminError(thrown);
    const requestId = c.get("requestId");
    if (error.row.status >= 500) onFault(error, requestId);
    for (const [name, value] of Object.entries(retryHeaders(error))) c.header(name, value);
    const body = {
      type: "error",
      error: { type: error.row.anthropicType, message: error.message },
      request_id: requestId,
    };
    return c.json(body, error.row.status as 400);
  });
  return app;
}
