/** Finds the tenant or key that an administrator names. */
import { sql } from "kysely";
import { GatewayError } from "../../conversation/errors.ts";
import { type Db, rowOf } from "./read-rows.ts";

export type FoundTenant = { id: string; name: string; accountId: bigint };
export type FoundKey = { id: string; name: string; tenant: FoundTenant };

/** By id or name; an id wins over a name that looks like one. Throws GatewayError `not_found`. */
export async function findTenant(db: Db, nameOrId: string): Promise<FoundTenant> {
  const row = await rowOf(
    db,
    sql<{ id: string; name: string; account_id: bigint }>`
      SELECT t.id, t.name, a.id AS account_id FROM tenant t JOIN account a ON a.tenant_id = t.id
      WHERE t.name = ${nameOrId.normalize("NFC")} OR t.id = ${nameOrId} ORDER BY t.id = ${nameOrId} DESC LIMIT 1`,
  );
  if (row === undefined)
    throw new GatewayError("not_found", `there is no tenant named ${nameOrId}`, { param: "tenant" });
  return { id: row.id, name: row.name, accountId: row.account_id };
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
