/** The price list: what a model costs from when on. Versions are added and never changed, so that old requests keep theirs. */
import { sql } from "kysely";
import { GatewayError } from "../../conversation/errors.ts";
import type { TokenPrices } from "../money.ts";
import { type Db, rowOf, rowsOf } from "./read-rows.ts";

export type PriceVersion = TokenPrices & {
  id: bigint;
  model: string;
  validFrom: Date;
  createdAt: Date;
  /** Id of the admin key. */
  createdBy: string;
};

export type NewPrice = {
  model: string;
  prices: TokenPrices;
  /** Now when it is not given. */
  validFrom?: Date | undefined;
};

/** A clock of the caller that is a little behind is not a price in the past. */
const SKEW_MS = 60_000;

/**
 * Adds a version. Throws GatewayError `invalid_request` for a time in the past (requests have been charged since), for one
 * before the price that is valid now, and for a second version from the same time.
 */
export async function addPrice(trx: Db, actor: string, { model, prices, validFrom }: NewPrice): Promise<PriceVersion> {
  if (model === "" || model.trim() !== model || model.length > 500 || /\p{Cc}/u.test(model))
    throw new GatewayError("invalid_request", `${JSON.stringify(model)} is not a model's name; use the served name`, {
      param: "model",
    });
  if (validFrom !== undefined && validFrom.getTime() < Date.now() - SKEW_MS)
    throw new GatewayError(
      "invalid_request",
      "a price cannot be valid from a time in the past: requests have been charged since; give a later time",
      { param: "valid_from" },
    );
  const row = await rowOf(
    trx,
    sql<PriceRow>`
      INSERT INTO price_version (model, valid_from, input_uncached, cache_read, cache_write, output, created_by)
      VALUES (${model}, coalesce(${validFrom?.toISOString() ?? null}::timestamptz, clock_timestamp()), ${prices.inputUncached},
        ${prices.cacheRead}, ${prices.cacheWrite}, ${prices.output}, ${actor})
      ON CONFLICT (model, valid_from) DO NOTHING RETURNING *`,
  );
  if (row === undefined)
    throw new GatewayError("invalid_request", `${model} has another price from that time already; give another time`, {
      param: "valid_from",
    });
  // Within the skew: it would never be asked, and whoever corrects a price in a hurry would take it for the one that counts.
  const later = await rowOf(
    trx,
    sql<PriceRow>`
      SELECT * FROM price_version WHERE model = ${model} AND valid_from > (SELECT valid_from FROM price_version WHERE id = ${row.id})
        AND valid_from <= clock_timestamp() ORDER BY valid_from DESC LIMIT 1`,
  );
  if (later !== undefined)
    throw new GatewayError(
      "invalid_request",
      `${model} has a price from ${later.valid_from.toISOString()} on, which is later; give no time, and it is valid from now`,
      { param: "valid_from" },
    );
  return toPrice(row);
}

/** Each model's price at a time, by model; models whose first price comes later are not in it. */
export async function pricesAt(db: Db, at: Date): Promise<PriceVersion[]> {
  const rows = await rowsOf(
    db,
    sql<PriceRow>`
      SELECT DISTINCT ON (model) * FROM price_version WHERE valid_from <= ${at.toISOString()}::timestamptz
      ORDER BY model, valid_from DESC`,
  );
  return rows.map(toPrice);
}

/** All versions, by model, the newest first. */
export async function priceHistory(db: Db, model?: string): Promise<PriceVersion[]> {
  const rows = await rowsOf(
    db,
    sql<PriceRow>`
      SELECT * FROM price_version WHERE ${model ?? null}::text IS NULL OR model = ${model ?? null}
      ORDER BY model, valid_from DESC`,
  );
  return rows.map(toPrice);
}

type PriceRow = {
  id: bigint;
  model: string;
  valid_from: Date;
  input_uncached: bigint;
  cache_read: bigint;
  cache_write: bigint;
  output: bigint;
  created_at: Date;
  created_by: string;
};

function toPrice(row: PriceRow): PriceVersion {
  return {
    id: row.id,
    model: row.model,
    validFrom: row.valid_from,
    inputUncached: row.input_uncached,
    cacheRead: row.cache_read,
    cacheWrite: row.cache_write,
    output: row.output,
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}
