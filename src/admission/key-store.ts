/** Knows how the key ring asks the store: many keys in one statement, and when they were last used. */
import type { Statement } from "../db/connection-pool.ts";
import type { Store } from "../db/open-store.ts";
import type { AllowedModels } from "./allowed-models.ts";

/** Who a request is from: the tenant that pays, and the virtual key that it came with. `tenant` and `key` are names. */
export type Principal = {
  readonly tenantId: string;
  readonly tenant: string;
  readonly keyId: string;
  readonly key: string;
  /** Served names that the key may use. */
  readonly models: AllowedModels;
};

export type StoredKey = { principal: Principal; /** ms since the epoch, or Infinity. */ expiresAt: number };

/** What the key ring needs of the store; a test may put another in its place. */
export type KeyStore = {
  /** The valid keys among these hashes, in their order; undefined where there is none. Rejects when the store is away. */
  find(hashes: readonly Buffer[]): Promise<(StoredKey | undefined)[]>;
  /** Notes that these keys were used at about this time. */
  touch(keyIds: readonly string[], at: Date): Promise<void>;
};

type Row = {
  hash: string;
  key_id: string;
  key: string;
  tenant_id: string;
  tenant: string;
  expires_at: Date | null;
  allowed_models: string[] | null;
};

const FIND: Statement = {
  name: "find-keys",
  text: `
  SELECT encode(k.hmac, 'hex') AS hash, k.id AS key_id, k.name AS key, k.expires_at, k.allowed_models,
    t.id AS tenant_id, t.name AS tenant
  FROM virtual_key k JOIN tenant t ON t.id = k.tenant_id
  WHERE k.hmac = ANY (SELECT decode(h, 'hex') FROM unnest($1::text[]) h)
    AND k.revoked_at IS NULL AND t.archived_at IS NULL`,
};

const TOUCH: Statement = {
  name: "touch-keys",
  text: `
  UPDATE virtual_key SET last_used_at = greatest(last_used_at, $2::timestamptz) WHERE id = ANY ($1::text[])`,
};

export function createKeyStore(store: Store): KeyStore {
  return {
    async find(hashes) {
      const hex = hashes.map((hash) => hash.toString("hex"));
      const rows = await store.run<Row>(FIND, [hex]);
      const found = new Map(rows.map((row) => [row.hash, toStoredKey(row)]));
      return hex.map((hash) => found.get(hash));
    },
    async touch(keyIds, at) {
      await store.run(TOUCH, [keyIds, at.toISOString()]);
    },
  };
}

function toStoredKey(row: Row): StoredKey {
  return {
    principal: {
      tenantId: row.tenant_id,
      tenant: row.tenant,
      keyId: row.key_id,
      key: row.key,
      models: row.allowed_models,
    },
    expiresAt: row.expires_at === null ? Infinity : row.expires_at.getTime(),
  };
}
