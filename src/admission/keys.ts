/** Virtual keys as an administrator sees them: made, listed, changed, revoked. key-ring.ts is how a request sees them. */
import { GatewayError } from "../conversation/errors.ts";
import { newId } from "../db/new-id.ts";
import type { Store } from "../db/open-store.ts";
import { type AllowedModels, validModels } from "./allowed-models.ts";
import { type Actor, audit } from "./audit.ts";
import { hashKey, keyHint, newKey } from "./key-format.ts";
import { validName } from "./names.ts";
import { ensureTenant, findTenant } from "./tenants.ts";

export type VirtualKey = {
  id: string;
  tenantId: string;
  tenant: string;
  /** No key of an archived tenant works. */
  tenantArchivedAt: Date | null;
  name: string;
  /** What may be shown of the key. */
  hint: string;
  createdAt: Date;
  expiresAt: Date | null;
  /** Served names that it may use; null: all. */
  models: AllowedModels;
  revokedAt: Date | null;
  /** Within about a minute. */
  lastUsedAt: Date | null;
};

export type NewKey = {
  /** Its name or id. */
  tenant: string;
  name?: string | undefined;
  /** Without one it never expires. */
  expiresAt?: Date | undefined;
  /** Served names; all without them. */
  models?: readonly string[] | undefined;
};

/**
 * Makes a key, and its tenant if that is new. `secret` is the key itself: it exists here and nowhere else, so show it or lose it.
 * Throws GatewayError `invalid_request`.
 */
export async function createKey(
  store: Store,
  pepper: Buffer,
  actor: Actor,
  wanted: NewKey,
): Promise<VirtualKey & { secret: string; tenantCreated: boolean }> {
  const secret = newKey("virtual");
  const name = validName("key", wanted.name ?? "default");
  const models = validModels(wanted.models ?? null);
  const limits = limitsDetail({ expiresAt: wanted.expiresAt, models: models ?? undefined });
  assertAhead(wanted.expiresAt);
  return store.db.transaction().execute(async (trx) => {
    const known = await findTenant(trx, wanted.tenant);
    const { tenant, created } = known
      ? { tenant: known, created: false }
      : await ensureTenant(trx, actor, wanted.tenant);
    if (tenant.archivedAt !== null)
      throw new GatewayError("invalid_request", `the tenant ${tenant.name} is archived`, { param: "tenant" });
    const row = await trx
      .insertInto("virtual_key")
      .values({
        id: newId("key"),
        tenant_id: tenant.id,
        name,
        hmac: hashKey(pepper, secret),
        hint: keyHint(secret),
        expires_at: wanted.expiresAt ?? null,
        allowed_models: models,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    await audit(trx, {
      actor,
      action: "key.create",
      subject: row.id,
      detail: { tenant: tenant.id, name, ...limits },
    });
    return { ...toKey({ ...row, tenant: tenant.name, tenant_archived_at: null }), secret, tenantCreated: created };
  });
}

/** All keys, those revoked and expired included, by tenant and time. An unknown tenant is GatewayError `not_found`. */
export async function listKeys(store: Store, filter: { tenant?: string | undefined } = {}): Promise<VirtualKey[]> {
  const tenant = filter.tenant === undefined ? undefined : await findTenant(store.db, filter.tenant);
  if (filter.tenant !== undefined && tenant === undefined)
    throw new GatewayError(
      "not_found",
      `there is no tenant named ${filter.tenant}; list them with: evener tenant list`,
    );
  let query = store.db
    .selectFrom("virtual_key")
    .innerJoin("tenant", "tenant.id", "virtual_key.tenant_id")
    .selectAll("virtual_key")
    .select(["tenant.name as tenant", "tenant.archived_at as tenant_archived_at"])
    .orderBy("tenant.name")
    .orderBy("virtual_key.created_at")
    .orderBy("virtual_key.id");
  if (tenant !== undefined) query = query.where("tenant.id", "=", tenant.id);
  return (await query.execute()).map(toKey);
}

/**
 * Revokes a key for good; revoking it again changes nothing. The caller tells its key ring. Throws GatewayError `not_found`.
 */
export async function revokeKey(store: Store, actor: Actor, id: string): Promise<VirtualKey> {
  assertKeyId(id);
  return store.db.transaction().execute(async (trx) => {
    const revoked = await trx
      .updateTable("virtual_key")
      .set((set) => ({ revoked_at: set.fn("now") }))
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .returning("id")
      .executeTakeFirst();
    if (revoked !== undefined) await audit(trx, { actor, action: "key.revoke", subject: id, detail: {} });
    const row = await trx
      .selectFrom("virtual_key")
      .innerJoin("tenant", "tenant.id", "virtual_key.tenant_id")
      .selectAll("virtual_key")
      .select(["tenant.name as tenant", "tenant.archived_at as tenant_archived_at"])
      .where("virtual_key.id", "=", id)
      .executeTakeFirst();
    if (row === undefined) throw noKey(id);
    return toKey(row);
  });
}

export type KeyChange = {
  /** Null: never. */
  expiresAt?: Date | null | undefined;
  /** Served names; null: all. */
  models?: AllowedModels | undefined;
};

/**
 * Changes what a key may do; what is not named stays. Also an expired key can be given more time, but not a revoked one. The caller
 * tells its key ring. Throws GatewayError `not_found`, `invalid_request`.
 */
export async function changeKey(store: Store, actor: Actor, id: string, change: KeyChange): Promise<VirtualKey> {
  assertKeyId(id);
  const { expiresAt } = change;
  const models = change.models === undefined ? undefined : validModels(change.models);
  if (expiresAt === undefined && models === undefined)
    throw new GatewayError("invalid_request", "nothing to change; give an expiry or models");
  assertAhead(expiresAt ?? undefined);
  return store.db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom("virtual_key")
      .innerJoin("tenant", "tenant.id", "virtual_key.tenant_id")
      .selectAll("virtual_key")
      .select(["tenant.name as tenant", "tenant.archived_at as tenant_archived_at"])
      .where("virtual_key.id", "=", id)
      .forUpdate("virtual_key")
      .executeTakeFirst();
    if (row === undefined) throw noKey(id);
    if (row.revoked_at !== null)
      throw new GatewayError("invalid_request", "this key was revoked, which is for good; make a new one");
    const set = {
      ...(expiresAt !== undefined && { expires_at: expiresAt }),
      ...(models !== undefined && { allowed_models: models }),
    };
    await trx.updateTable("virtual_key").set(set).where("id", "=", id).execute();
    await audit(trx, { actor, action: "key.change", subject: id, detail: limitsDetail({ expiresAt, models }) });
    return toKey({ ...row, ...set });
  });
}

function assertAhead(expiresAt: Date | undefined): void {
  if (expiresAt !== undefined && expiresAt.getTime() <= Date.now())
    throw new GatewayError("invalid_request", "expires_at: this time has passed; give one ahead", {
      param: "expires_at",
    });
}

/** What the audit log says of a key's limits; what was not set is not named. */
function limitsDetail({ expiresAt, models }: KeyChange): Record<string, string | null> {
  return {
    ...(expiresAt !== undefined && { expires_at: expiresAt?.toISOString() ?? null }),
    ...(models !== undefined && { models: models?.join(", ") ?? null }),
  };
}

function assertKeyId(id: string): void {
  if (!/^key_[0-9a-z]+$/.test(id)) throw noKey(id);
}

function noKey(id: string): GatewayError {
  return new GatewayError("not_found", `there is no key with the id ${id}; list them with: evener key list`);
}

type KeyRow = {
  id: string;
  tenant_id: string;
  tenant: string;
  tenant_archived_at: Date | null;
  name: string;
  hint: string;
  created_at: Date;
  expires_at: Date | null;
  allowed_models: string[] | null;
  revoked_at: Date | null;
  last_used_at: Date | null;
};

function toKey(row: KeyRow): VirtualKey {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    tenant: row.tenant,
    tenantArchivedAt: row.tenant_archived_at,
    name: row.name,
    hint: row.hint,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    models: row.allowed_models,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
  };
}
