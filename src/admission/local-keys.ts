/**
 * The keys that a gateway keeps in its data directory for the commands and clients of the same machine, each in a file of its
 * own with mode 0600: made once, kept over restarts.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../conversation/errors.ts";
import type { Store } from "../db/open-store.ts";
import type { Actor } from "./audit.ts";
import { newKey } from "./key-format.ts";
import type { KeyRing } from "./key-ring.ts";
import { createKey } from "./keys.ts";
import { SecretError } from "./secret.ts";
import { findTenant } from "./tenants.ts";

/** Whose key the local client uses. */
export const LOCAL_TENANT = "local";

/** The admin key of this data directory, made if there is none. */
export function localAdminKey(dataDir: string): string {
  const file = join(dataDir, "admin-key");
  const kept = read(file);
  if (kept !== undefined) return kept;
  const key = newKey("admin");
  write(file, key);
  return key;
}

/**
 * A virtual key for clients on this machine: the kept one while the store knows it, else a new one of the tenant `local`. None where
 * that tenant is archived: nobody but an administrator does that, and it must not keep the gateway from starting.
 */
export async function localClientKey(
  { store, pepper, keyRing, dataDir }: { store: Store; pepper: Buffer; keyRing: KeyRing; dataDir: string },
  actor: Actor,
): Promise<string | undefined> {
  const file = join(dataDir, "client-key");
  const kept = read(file);
  if (kept !== undefined && (await isKnown(keyRing, kept))) return kept;
  const tenant = await findTenant(store.db, LOCAL_TENANT);
  if (tenant !== undefined && tenant.archivedAt !== null) return undefined;
  const { secret } = await createKey(store, pepper, actor, { tenant: LOCAL_TENANT, name: "evener up" });
  write(file, secret);
  return secret;
}

async function isKnown(keyRing: KeyRing, key: string): Promise<boolean> {
  try {
    await keyRing.authenticate(key);
    return true;
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === "unknown_key") return false;
    throw thrown;
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new SecretError(`cannot read the key file ${file}: ${(error as Error).message}`, error);
  }
}

/** In one step, so that a crash leaves the old key or the new one. */
function write(file: string, key: string): void {
  mkdirSync(join(file, ".."), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.tmp`;
  writeFileSync(draft, `${key}\n`, { mode: 0o600, flush: true });
  renameSync(draft, file);
}
