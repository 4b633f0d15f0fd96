/** Runs the admin side's own SQL: rows as their types say, from a store or within a transaction. */
import type { Kysely, RawBuilder } from "kysely";
import type { Schema } from "../../db/schema.ts";

export type Db = Kysely<Schema>;

export async function rowsOf<T>(db: Db, query: RawBuilder<T>): Promise<T[]> {
  return (await query.execute(db)).rows;
}

export async function rowOf<T>(db: Db, query: RawBuilder<T>): Promise<T | undefined> {
  return (await rowsOf(db, query))[0];
}
