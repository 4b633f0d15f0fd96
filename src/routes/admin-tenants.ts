/** `POST /admin/v1/tenants`, `GET /admin/v1/tenants`, `POST /admin/v1/tenants/{tenant}/terms`, `…/credits`, `…/name` and `…/archive`. */
import { randomUUID } from "node:crypto";
import type { Context, Hono } from "hono";
import { z } from "zod";
import { audit } from "../admission/audit.ts";
import { archiveTenant, renameTenant } from "../admission/tenant-changes.ts";
import { type Tenant, newTenant, listTenants, tenantById } from "../admission/tenants.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { Store } from "../db/open-store.ts";
import { type Account, type Terms, accountsByTenant, creditTenant, setTerms } from "../ledger/admin/accounts.ts";
import { findTenant } from "../ledger/admin/find-tenant.ts";
import { formatUsd, parseUsd } from "../ledger/money.ts";
import { moneyChange } from "./admin-change.ts";
import { readBody } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

const termsFields = {
  terms: z.enum(["prepaid", "postpaid"]).optional(),
  credit_limit_usd: z.string().nullable().optional(),
};
export const NewTenantBody = z.strictObject({ name: z.string(), ...termsFields });
export const TermsBody = z.strictObject({ ...termsFields, terms: z.enum(["prepaid", "postpaid"]) });
export const TenantNameBody = z.strictObject({ name: z.string() });
export const CreditBody = z.strictObject({ amount_usd: z.string(), note: z.string().optional() });

export function tenantRoutes(app: Hono<AdminEnv>, options: AdminOptions): void {
  const { store, keyRing } = options;
  app.post("/tenants", async (c) => {
    const body = await readBody(c, NewTenantBody);
    const terms = termsOf(body);
    const actor = c.get("admin").id;
    const made = await moneyChange(options, async (trx) => {
      const tenant = await newTenant(trx, actor, body.name);
      const found = await findTenant(trx, tenant.id);
      if (terms !== undefined) {
        const account = await setTerms(trx, found, terms);
        await audit(trx, { actor, action: "tenant.terms", subject: tenant.id, detail: termsDetail(account) });
      }
      const result = tenantJson(tenant, (await accountsByTenant(trx, tenant.id)).get(tenant.id));
      return { concerns: { tenantId: tenant.id }, result };
    });
    return c.json(made, 201);
  });
  app.get("/tenants", async (c) => {
    const [tenants, accounts] = await Promise.all([listTenants(store), accountsByTenant(store.db)]);
    return c.json({
      data: tenants.map((tenant) => Object.assign(tenantJson(tenant, accounts.get(tenant.id)), { keys: tenant.keys })),
    });
  });
  app.post("/tenants/:tenant/terms", async (c) => {
    const terms = termsOf(await readBody(c, TermsBody));
    const actor = c.get("admin").id;
    const account = await moneyChange(options, async (trx) => {
      const tenant = await findTenant(trx, c.req.param("tenant"));
      const changed = await setTerms(trx, tenant, terms ?? { terms: "postpaid", creditLimit: null });
      await audit(trx, { actor, action: "tenant.terms", subject: tenant.id, detail: termsDetail(changed) });
      const result = { id: tenant.id, name: tenant.name, ...accountJson(changed) };
      return { concerns: { tenantId: tenant.id }, result };
    });
    return c.json(account);
  });
  app.post("/tenants/:tenant/credits", (c) => postCredit(c, options));
  app.post("/tenants/:tenant/name", async (c) => {
    const { name } = await readBody(c, TenantNameBody);
    const { id } = await findTenant(store.db, c.req.param("tenant"));
    await renameTenant(store, c.get("admin").id, id, name);
    return c.json(await oneTenant(store, id));
  });
  app.post("/tenants/:tenant/archive", async (c) => {
    const { id } = await findTenant(store.db, c.req.param("tenant"));
    for (const key of await archiveTenant(store, c.get("admin").id, id)) keyRing.forget(key);
    return c.json(await oneTenant(store, id));
  });
}

async function oneTenant(store: Store, id: string) {
  const [tenant, accounts] = await Promise.all([tenantById(store, id), accountsByTenant(store.db, id)]);
  // It was just changed, and tenants are never deleted.
  return tenantJson(tenant!, accounts.get(id));
}

async function postCredit(c: Context<AdminEnv, "/tenants/:tenant/credits">, options: AdminOptions) {
  const { amount_usd, note } = await readBody(c, CreditBody);
  const amount = parseUsd(amount_usd);
  // Without a key of the caller's every call is a credit of its own.
  const idempotencyKey = c.req.header("idempotency-key") ?? randomUUID();
  const actor = c.get("admin").id;
  const paid = await moneyChange(options, async (trx) => {
    const tenant = await findTenant(trx, c.req.param("tenant"));
    const credit = await creditTenant(trx, tenant, { amount, note, idempotencyKey });
    if (credit.isNew)
      await audit(trx, {
        actor,
        action: "tenant.credit",
        subject: tenant.id,
        detail: { credit: credit.id, amount_usd: formatUsd(amount), note: note ?? null },
      });
    const result = {
      id: credit.id,
      tenant: tenant.name,
      amount_usd: formatUsd(credit.amount),
      note: credit.note,
      at: credit.at.toISOString(),
      balance_usd: formatUsd(credit.balance),
    };
    return { concerns: { tenantId: tenant.id }, result };
  });
  return c.json(paid, 201);
}

function termsOf({
  terms,
  credit_limit_usd,
}: z.infer<typeof NewTenantBody> | z.infer<typeof TermsBody>): Terms | undefined {
  const creditLimit = credit_limit_usd === undefined || credit_limit_usd === null ? null : parseUsd(credit_limit_usd);
  if (creditLimit !== null && terms !== "postpaid")
    throw new GatewayError("invalid_request", "only a postpaid tenant has a credit limit", {
      param: "credit_limit_usd",
    });
  if (terms === undefined) return undefined;
  return terms === "prepaid" ? { terms } : { terms, creditLimit };
}

function termsDetail(account: Account): Record<string, string | null> {
  return {
    terms: account.terms,
    credit_limit_usd: account.creditLimit === null ? null : formatUsd(account.creditLimit),
  };
}

function tenantJson({ id, name, createdAt, archivedAt }: Tenant, account: Account | undefined) {
  return {
    id,
    name,
    created_at: createdAt.toISOString(),
    archived_at: archivedAt?.toISOString() ?? null,
    ...(account !== undefined && accountJson(account)),
  };
}

function accountJson(account: Account) {
  return {
    ...termsDetail(account),
    balance_usd: formatUsd(account.balance),
    held_usd: formatUsd(account.held),
  };
}
