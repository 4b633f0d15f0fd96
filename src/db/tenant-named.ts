/** Which tenant somebody means who gives an id or a name; an id wins over a name that looks like one. */
import type { Kysely, Selectable } from "kysely";
import type { Schema } from "./schema.ts";

export async function tenantNamed(
  db: Kysely<Schema>,
  idOrName: string,
): Promise<Selectable<Schema["tenant"]> | undefined> {
  return db
    .selectFrom("tenant")
    .selectAll()
    .where((where) => where.or([where("id", "=", idOrName), where("name", "=", idOrName.normalize("NFC"))]))
    .orderBy((order) => order("id", "=", idOrName), "desc")
    .limit(1)
    .executeTakeFirst();
}
