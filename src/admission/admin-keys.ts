/** Knows who may use the admin API: the admin keys that this gateway was started with, each known to the audit log by its id. */
import { timingSafeEqual } from "node:crypto";
import { newId } from "../db/new-id.ts";
import type { Store } from "../db/open-store.ts";
import { hashKey } from "./key-format.ts";
import { SecretError } from "./secret.ts";

export type Admin = { id: string; name: string };

export type AdminKeys = {
  /** Whose key this is, in a time that does not depend on how much of it is right. */
  find(secret: string): Admin | undefined;
};

const LEAST = 24;

/**
 * Notes the keys in the store (as HMACs) and answers for them. `name` says where a key came from: `EVENER_ADMIN_KEY`,
 * `evener up`. Throws SecretError for one that is shorter than 24 characters or was revoked.
 */
export async function registerAdminKeys(
  store: Store,
  pepper: Buffer,
  keys: readonly { name: string; secret: string }[],
): Promise<AdminKeys> {
  const admins = await Promise.all(keys.map((key) => register(store, pepper, key)));
  return {
    find(secret) {
      const presented = hashKey(pepper, secret);
      let found: Admin | undefined;
      for (const { hmac, admin } of admins) if (timingSafeEqual(hmac, presented)) found = admin;
      return found;
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
  return { hmac, admin: { id: row.id, name: row.name } };
}
