/** Writes who changed what, in the transaction of the change itself. */
import type { Kysely } from "kysely";
import type { Schema } from "../db/schema.ts";

/** An admin key's id, or `gateway` for what the gateway does by itself (the local key of `evener up`). */
export type Actor = string;

export type AuditAction =
  | "tenant.create"
  | "tenant.rename"
  | "tenant.archive"
  | "tenant.terms"
  | "tenant.credit"
  | "key.create"
  | "key.rename"
  | "key.change"
  | "key.revoke"
  | "admin_key.create"
  | "admin_key.revoke"
  | "price.set"
  | "budget.set"
  | "budget.remove";

export async function audit(
  trx: Kysely<Schema>,
  entry: { actor: Actor; action: AuditAction; subject: string; detail: Record<string, string | null> },
): Promise<void> {
  const { actor, action, subject, detail } = entry;
  await trx
    .insertInto("audit_log")
    .values({ actor, action, subject, detail: JSON.stringify(detail) })
    .execute();
}
