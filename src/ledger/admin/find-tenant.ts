/** Finds the tenant or key that an administrator names. */
import { sql } from "kysely";
import { GatewayError } from "../../conversation/errors.ts";
import { tenantNamed } from "../../db/tenant-named.ts";
import { type Db, rowOf } from "./read-rows.ts";

export type FoundTenant = { id: string; name: string; accountId: bigint };
export type FoundKey = { id: string; name: string; tenant: FoundTenant };

/** By its id or name. Throws GatewayError `not_found`. */
export async function findTenant(db: Db, nameOrId: string): Promise<FoundTenant> {
  const tenant = await tenantNamed(db, nameOrId);
  if (tenant === undefined)
    throw new GatewayError("not_found", `there is no tenant named ${nameOrId}; list them with: evener tenant list`, {
      param: "tenant",
    });
  const account = await rowOf(db, sql<{ id: bigint }>`SELECT id FROM account WHERE tenant_id = ${tenant.id}`);
  if (account === undefined) throw new Error(`the tenant ${tenant.id} has no account`);
  return { id: tenant.id, name: tenant.name, accountId: account.id };
}

/** By id. Throws GatewayError `not_found`. */
export async function findKey(db: Db, id: string): Promise<FoundKey> {
  const row = await rowOf(
    db,
    sql<{ id: string; name: string; tenant_id: string }>`SELECT id, name, tenant_id FROM virtual_key WHERE id = ${id}`,
  );
  if (row === undefined)
    throw new GatewayError("not_found", `there is no key with the id ${id}; list them with: evener key list`, {
      param: "key",
    });
  return { id: row.id, name: row.name, tenant: await findTenant(db, row.tenant_id) };
}

/** Locks the tenant's account until the transaction's end: budgets, periods and holds change only under it (0002_money.sql). */
export async function lockAccount(trx: Db, tenant: FoundTenant): Promise<void> {
  await sql`SELECT FROM account WHERE id = ${tenant.accountId} FOR NO KEY UPDATE`.execute(trx);
}
