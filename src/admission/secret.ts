/**
 * Knows the gateway's one secret: where it comes from, and that a database belongs to it. Keys are stored as HMACs under it, so a
 * stolen database is of no use without it, and a database without its secret has no valid key.
 */
import { createHmac, hkdfSync, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Store } from "../db/open-store.ts";

/** What may be derived from the secret; each purpose has a key of its own, so that one never tells of another. */
export type SecretPurpose = "key pepper" | "reasoning signature" | "cache salt";

export type GatewaySecret = {
  /** For people: `EVENER_SECRET`, or the file it was read from. */
  source: string;
  /** 32 bytes for one purpose (HKDF-SHA-256). */
  derive(purpose: SecretPurpose): Buffer;
};

/** Wrong or unusable secret; `message` is one line for people. */
export class SecretError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "SecretError";
  }
}

const LEAST = 32;

/**
 * The secret from `value` (EVENER_SECRET), else from `<dataDir>/secret`, which is made (256 random bits, mode 0600) if it is missing.
 * Throws SecretError when it is shorter than 32 characters or cannot be read.
 */
export function loadSecret(options: { dataDir: string; value?: string | undefined }): GatewaySecret {
  if (options.value !== undefined && options.value !== "") return gatewaySecret(options.value, "EVENER_SECRET");
  const file = join(options.dataDir, "secret");
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(file, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600, flag: "wx", flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST")
      throw new SecretError(
        `cannot write the secret file ${file}; make its directory writable, or set EVENER_SECRET`,
        error,
      );
  }
  return gatewaySecret(readSecret(file), file);
}

function readSecret(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new SecretError(`cannot read the secret file ${file}: ${(error as Error).message}`, error);
  }
}

export function gatewaySecret(text: string, source: string): GatewaySecret {
  if (text.length < LEAST)
    throw new SecretError(
      `the secret from ${source} is shorter than ${LEAST} characters; make one with: openssl rand -base64 32`,
    );
  return {
    source,
    derive: (purpose) => Buffer.from(hkdfSync("sha256", text, "evener", purpose, 32)),
  };
}

/**
 * Ties the database to the secret the first time, and checks it every other. Throws SecretError when the database's keys were made
 * with another secret: every one of them would be refused.
 */
export async function bindSecret(store: Store, secret: GatewaySecret): Promise<void> {
  const fingerprint = createHmac("sha256", secret.derive("key pepper")).update("fingerprint").digest("base64url");
  await store.db
    .insertInto("setting")
    .values({ name: "secret_fingerprint", value: fingerprint })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  const { value } = await store.db
    .selectFrom("setting")
    .select("value")
    .where("name", "=", "secret_fingerprint")
    .executeTakeFirstOrThrow();
  if (value !== fingerprint)
    throw new SecretError(
      `the keys in ${store.where} were made with another secret than the one from ${secret.source}; set EVENER_SECRET to the one they were made with`,
    );
}
