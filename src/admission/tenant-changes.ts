/** What can still be changed of a tenant or key once it is there: its name, and a tenant's end. */
import { GatewayError } from "../conversation/errors.ts";
import type { Store } from "../db/open-store.ts";
import { isUniqueViolation } from "../db/store-error.ts";
import { type Actor, audit } from "./audit.ts";
import { validName } from "./names.ts";
import { nameTaken } from "./tenants.ts";

/** Throws GatewayError `not_found`, `already_exists`, and `invalid_request` for what is not a name. */
export async function renameTenant(store: Store, actor: Actor, id: string, name: string): Promise<void> {
  const valid = validName("tenant", name);
  try {
    await store.db.transaction().execute(async (trx) => {
      const renamed = await trx.updateTable("tenant").set({ name: valid }).where("id", "=", id).executeTakeFirst();
      if (renamed.numUpdatedRows === 0n) throw noTenant(id);
      await audit(trx, { actor, action: "tenant.rename", subject: id, detail: { name: valid } });
    });
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw nameTaken(valid);
  }
}

/**
 * Ends a tenant: its keys work no longer (here at once, elsewhere within ten seconds), its rows stay. Again changes nothing. Returns the ids of its
 * keys, for the caller's key ring. Throws GatewayError `not_found`.
 */
export async function archiveTenant(store: Store, actor: Actor, id: string): Promise<string[]> {
  return store.db.transaction().execute(async (trx) => {
    const tenant = await trx.selectFrom("tenant").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
    if (tenant === undefined) throw noTenant(id);
    if (tenant.archived_at === null) {
      await trx
        .updateTable("tenant")
        .set((set) => ({ archived_at: set.fn("now") }))
        .where("id", "=", id)
        .execute();
      await audit(trx, { actor, action: "tenant.archive", subject: id, detail: {} });
    }
    const keys = await trx.selectFrom("virtual_key").select("id").where("tenant_id", "=", id).execute();
    return keys.map((key) => key.id);
  });
}

/** Throws GatewayError `not_found` and `invalid_request`. */
export async function renameKey(store: Store, actor: Actor, id: string, name: string): Promise<void> {
  const valid = validName("key", name);
  await store.db.transaction().execute(async (trx) => {
    const renamed = await trx.updateTable("virtual_key").set({ name: valid }).where("id", "=", id).executeTakeFirst();
    if (renamed.numUpdatedRows === 0n) throw new GatewayError("not_found", `there is no API key with the id ${id}`);
    await audit(trx, { actor, action: "key.rename", subject: id, detail: { name: valid } });
  });
}

function noTenant(id: string): GatewayError {
  return new GatewayError("not_found", `there is no workspace with the id ${id}`);
}
