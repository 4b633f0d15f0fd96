/**
 * Knows who may use the admin API: the keys that this gateway was started with, and those that administrators made. Each is known to
 * the audit log by its id, and may read, or read and write.
 */
import { timingSafeEqual } from "node:crypto";
import { GatewayError } from "../conversation/errors.ts";
import { newId } from "../db/new-id.ts";
import type { Store } from "../db/open-store.ts";
import { type Actor, audit } from "./audit.ts";
import { hashKey, isKey, newKey } from "./key-format.ts";
import { validName } from "./names.ts";
import { SecretError } from "./secret.ts";

export type AdminAccess = "read" | "write";
export type Admin = { id: string; name: string; access: AdminAccess };

export type AdminKeys = {
  /** Whose key this is. Rejects when the store is away, except for the keys of the start. */
  find(secret: string): Promise<Admin | undefined>;
};

const LEAST = 24;

/**
 * Notes the keys in the store (as HMACs) and answers for them, in a time that does not depend on how much of one is right. `name` says
 * where a key came from: `EVENER_ADMIN_KEY`, `evener up`. Throws SecretError for one that is shorter than 24 characters or was revoked.
 */
export async function registerAdminKeys(
  store: Store,
  pepper: Buffer,
  keys: readonly { name: string; secret: string }[],
): Promise<AdminKeys> {
  const admins = await Promise.all(keys.map((key) => register(store, pepper, key)));
  return {
    async find(secret) {
      const presented = hashKey(pepper, secret);
      let found: Admin | undefined;
      for (const { hmac, admin } of admins) if (timingSafeEqual(hmac, presented)) found = admin;
      if (found !== undefined || !isKey("admin", secret)) return found;
      return store.db
        .selectFrom("admin_key")
        .select(["id", "name", "access"])
        .where("hmac", "=", presented)
        .where("revoked_at", "is", null)
        .executeTakeFirst();
    },
  };
}

async function register(
  store: Store,
  pepper: Buffer,
  { name, secret }: { name: string; secret: string },
): Promise<{ hmac: Buffer; admin: Admin }> {
  if (secret.length < LEAST)
    throw new SecretError(
      `the admin key from ${name} is shorter than ${LEAST} characters; make one with: openssl rand -base64 32`,
    );
  const hmac = hashKey(pepper, secret);
  await store.db
    .insertInto("admin_key")
    .values({ id: newId("adm"), name, hmac })
    .onConflict((conflict) => conflict.column("hmac").doNothing())
    .execute();
  const row = await store.db.selectFrom("admin_key").selectAll().where("hmac", "=", hmac).executeTakeFirstOrThrow();
  if (row.revoked_at !== null) throw new SecretError(`the admin key from ${name} was revoked; use another one`);
  return { hmac, admin: { id: row.id, name: row.name, access: row.access } };
}

export type AdminKey = Admin & {
  /** Null: given to the gateway at its start. */
  hint: string | null;
  createdAt: Date;
  createdBy: string | null;
  revokedAt: Date | null;
};

/** `secret` is the key itself: it exists here and nowhere else. Throws GatewayError `invalid_request`. */
export async function createAdminKey(
  store: Store,
  pepper: Buffer,
  actor: Actor,
  wanted: { name: string; access: AdminAccess },
): Promise<AdminKey & { secret: string }> {
  const secret = newKey("admin");
  const name = validName("key", wanted.name);
  return store.db.transaction().execute(async (trx) => {
    const row = await trx
      .insertInto("admin_key")
      .values({
        id: newId("adm"),
        name,
        hmac: hashKey(pepper, secret),
        access: wanted.access,
        hint: `${secret.slice(0, 13)}…`,
        created_by: actor,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    await audit(trx, { actor, action: "admin_key.create", subject: row.id, detail: { name, access: wanted.access } });
    return { ...toAdminKey(row), secret };
  });
}

/** All of them, revoked ones included, by time. */
export async function listAdminKeys(store: Store): Promise<AdminKey[]> {
  const rows = await store.db.selectFrom("admin_key").selectAll().orderBy("created_at").orderBy("id").execute();
  return rows.map(toAdminKey);
}

/**
 * Revokes a key for good, at once. Throws GatewayError `not_found`, and `invalid_request` for a key of the gateway's start: it would be
 * refused at the next start, and until then is known without the store.
 */
export async function revokeAdminKey(store: Store, actor: Actor, id: string): Promise<AdminKey> {
  return store.db.transaction().execute(async (trx) => {
    const row = await trx.selectFrom("admin_key").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
    if (row === undefined)
      throw new GatewayError(
        "not_found",
        `there is no admin key with the id ${id}; list them with: evener admin-key list`,
      );
    if (row.hint === null)
      throw new GatewayError("invalid_request", "this key was given to the gateway at its start; change it there");
    if (row.revoked_at !== null) return toAdminKey(row);
    const revoked = await trx
      .updateTable("admin_key")
      .set((set) => ({ revoked_at: set.fn("now") }))
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await audit(trx, { actor, action: "admin_key.revoke", subject: id, detail: {} });
    return toAdminKey(revoked);
  });
}

type Row = {
  id: string;
  name: string;
  access: AdminAccess;
  hint: string | null;
  created_at: Date;
  created_by: string | null;
  revoked_at: Date | null;
};

function toAdminKey(row: Row): AdminKey {
  return {
    id: row.id,
    name: row.name,
    access: row.access,
    hint: row.hint,
    createdAt: row.created_at,
    createdBy: row.created_by,
    revokedAt: row.revoked_at,
  };
}
