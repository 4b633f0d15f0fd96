/**
 * The admin API, `/admin/v1/*`: who may call it, and how its failures look. What it does is in admin-tenants.ts,
 * admin-keys.ts and admin-usage.ts. docs/tenants-and-keys.md is its reference.
 */
import { Hono } from "hono";
import type { Admin, AdminKeys } from "../admission/admin-keys.ts";
import { credentialsOf } from "../admission/credentials.ts";
import type { KeyRing } from "../admission/key-ring.ts";
import { GatewayError, retryHeaders } from "../conversation/errors.ts";
import type { Store } from "../db/open-store.ts";
import { newRequestId } from "../gateway/request-id.ts";
import type { EngineCosts } from "../ledger/admin/engine-cost.ts";
import type { MoneyChange } from "../ledger/money-change.ts";
import type { Issuer } from "../ledger/invoice/invoice-html.ts";
import { adminKeyRoutes } from "./admin-admin-keys.ts";
import { budgetRoutes } from "./admin-budgets.ts";
import { adminError } from "./admin-error.ts";
import { invoiceRoutes } from "./admin-invoices.ts";
import { ledgerRoutes } from "./admin-ledger.ts";
import { keyRoutes } from "./admin-keys.ts";
import { priceRoutes } from "./admin-prices.ts";
import { sessionRoutes } from "./admin-sessions.ts";
import { tenantRoutes } from "./admin-tenants.ts";
import { usageRoutes } from "./admin-usage.ts";

export type AdminOptions = {
  store: Store;
  keyRing: KeyRing;
  adminKeys: AdminKeys;
  /** What virtual keys are hashed with: `secret.derive("key pepper")`. */
  pepper: Buffer;
  /** Told after a change of prices, terms, credit or budgets, which the ledger remembers for a while. */
  onMoneyChanged?: (what: MoneyChange) => void;
  /** `Ledger.unknownSince`. */
  unknownSince?: (tenantId: string) => Date | undefined;
  /** What engines cost an hour, for reports. */
  engineCosts?: EngineCosts;
  /** Who sends the invoices. */
  issuer?: Issuer;
  /** Told of failures that are not the caller's: for the log. */
  onFault?: (error: GatewayError, requestId: string) => void;
};

export type AdminEnv = { Variables: { admin: Admin; requestId: string } };

/** The app answers full paths, so it is mounted as it is: hand it every request whose path starts with `/admin/v1/`. */
export function adminApp(options: AdminOptions): Hono<AdminEnv> {
  const { adminKeys, onFault = () => {} } = options;
  const app = new Hono<AdminEnv>().basePath("/admin/v1");

  app.use(async (c, next) => {
    const requestId = newRequestId();
    c.set("requestId", requestId);
    c.header("request-id", requestId);
    c.header("cache-control", "no-store");
    const admin = await adminKeys.find(credentialsOf(c.req.header()));
    if (admin === undefined)
      throw new GatewayError(
        "unknown_key",
        "this is not an admin key of this gateway (tenants' keys do not work here)",
      );
    if (admin.access === "read" && c.req.method !== "GET" && c.req.method !== "HEAD")
      throw new GatewayError("forbidden", "this admin key may only read; use one that was made with --write");
    c.set("admin", admin);
    await next();
  });

  app.get("/whoami", (c) => c.json(c.get("admin")));
  tenantRoutes(app, options);
  keyRoutes(app, options);
  usageRoutes(app, options);
  priceRoutes(app, options);
  budgetRoutes(app, options);
  invoiceRoutes(app, options);
  ledgerRoutes(app, options);
  adminKeyRoutes(app, options);
  sessionRoutes(app, options);

  app.notFound(() => {
    throw new GatewayError("not_found", "the admin API has no such path");
  });
  app.onError((thrown, c) => {
    const error = adminError(thrown);
    const requestId = c.get("requestId");
    // Of what ended because the caller had left nobody needs to hear.
    if (error.row.status >= 500 && !c.req.raw.signal.aborted) onFault(error, requestId);
    for (const [name, value] of Object.entries(retryHeaders(error))) c.header(name, value);
    return c.json(
      { error: { type: error.row.anthropicType, code: error.code, message: error.message, request_id: requestId } },
      error.row.status as 400,
    );
  });
  return app;
}
