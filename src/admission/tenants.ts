/** Tenants: who is metered and billed. */
import { type Kysely, sql } from "kysely";
import { GatewayError } from "../conversation/errors.ts";
import { newId } from "../db/new-id.ts";
import type { Store } from "../db/open-store.ts";
import type { Schema } from "../db/schema.ts";
import { tenantNamed } from "../db/tenant-named.ts";
import { type Actor, audit } from "./audit.ts";
import { validName } from "./names.ts";

export type Tenant = { id: string; name: string; createdAt: Date; archivedAt: Date | null };

/** Throws GatewayError `already_exists`, and `invalid_request` for what is not a name. */
export async function createTenant(store: Store, actor: Actor, name: string): Promise<Tenant> {
  return store.db.transaction().execute((trx) => newTenant(trx, actor, name));
}

/** As `createTenant`, within a transaction. */
export async function newTenant(trx: Kysely<Schema>, actor: Actor, name: string): Promise<Tenant> {
  const { tenant, created } = await ensureTenant(trx, actor, name);
  if (!created) throw nameTaken(tenant.name);
  return tenant;
}

export function nameTaken(name: string): GatewayError {
  return new GatewayError("already_exists", `there is a tenant named ${name} already`, { param: "name" });
}

/** By its id or name. */
export async function findTenant(db: Kysely<Schema>, idOrName: string): Promise<Tenant | undefined> {
  const row = await tenantNamed(db, idOrName);
  return row && toTenant(row);
}

/** The tenant of that name, made if it is new. Two that make it at once get the same one. */
export async function ensureTenant(
  trx: Kysely<Schema>,
  actor: Actor,
  name: string,
): Promise<{ tenant: Tenant; created: boolean }> {
  const valid = validName("tenant", name);
  const inserted = await trx
    .insertInto("tenant")
    .values({ id: newId("ten"), name: valid })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .returningAll()
    .executeTakeFirst();
  if (inserted !== undefined) {
    await audit(trx, { actor, action: "tenant.create", subject: inserted.id, detail: { name: valid } });
    return { tenant: toTenant(inserted), created: true };
  }
  const found = await trx.selectFrom("tenant").selectAll().where("name", "=", valid).executeTakeFirstOrThrow();
  return { tenant: toTenant(found), created: false };
}

/** By its id; undefined: there is none. */
export async function tenantById(store: Store, id: string): Promise<Tenant | undefined> {
  const row = await store.db.selectFrom("tenant").selectAll().where("id", "=", id).executeTakeFirst();
  return row && toTenant(row);
}

/** All tenants by name, with the number of keys that work now. */
export async function listTenants(store: Store): Promise<(Tenant & { keys: number })[]> {
  const rows = await store.db
    .selectFrom("tenant")
    .leftJoin("virtual_key as k", (join) =>
      join
        .onRef("k.tenant_id", "=", "tenant.id")
        .on("tenant.archived_at", "is", null)
        .on("k.revoked_at", "is", null)
        .on((on) => on.or([on("k.expires_at", "is", null), on("k.expires_at", ">", sql<Date>`now()`)])),
    )
    .selectAll("tenant")
    .select((select) => select.fn.count<bigint>("k.id").as("keys"))
    .groupBy("tenant.id")
    .orderBy("tenant.name")
    .execute();
  return rows.map((row) => Object.assign(toTenant(row), { keys: Number(row.keys) }));
}

function toTenant(row: { id: string; name: string; created_at: Date; archived_at: Date | null }): Tenant {
  return { id: row.id, name: row.name, createdAt: row.created_at, archivedAt: row.archived_at };
}
