/** Which models a key may use: `virtual_key.allowed_models`, served names; null is all. */
import type { Kysely } from "kysely";
import { GatewayError } from "../conversation/errors.ts";
import type { Schema } from "../db/schema.ts";
import { storableText } from "./storable-text.ts";

const MOST_MODELS = 1_000;

/** Gateways heed it as soon as they look at the key again. Throws GatewayError `not_found`, `invalid_request`. */
export async function setAllowedModels(
  trx: Kysely<Schema>,
  keyId: string,
  models: readonly string[] | null,
): Promise<string[] | null> {
  const names = models === null ? null : [...new Set(models)].sort();
  if (names !== null && (names.length === 0 || names.length > MOST_MODELS))
    throw new GatewayError("invalid_request", `name 1 to ${MOST_MODELS} models, or allow all`, { param: "models" });
  if (names?.some((name) => name === "" || storableText(name) !== name))
    throw new GatewayError("invalid_request", "this is not a model's name", { param: "models" });
  const { numUpdatedRows } = await trx
    .updateTable("virtual_key")
    .set({ allowed_models: names })
    .where("id", "=", keyId)
    .executeTakeFirst();
  if (numUpdatedRows === 0n)
    throw new GatewayError("not_found", `there is no key with the id ${keyId}`, { param: "key" });
  return names;
}

/** Throws GatewayError `model_not_allowed`, with the models that are. */
export function assertModelAllowed(allowed: readonly string[] | null, model: string): void {
  if (allowed === null || allowed.includes(model)) return;
  throw new GatewayError("model_not_allowed", `this key may not use ${model}; it may use ${allowed.join(", ")}`, {
    param: "model",
  });
}
