/** Which models a key may use: served names, as the engines have them; null is all. */
import { GatewayError } from "../conversation/errors.ts";

export type AllowedModels = readonly string[] | null;

/** As the column's own check has it. */
const MOST_MODELS = 1_000;
const LONGEST = 500;
const MOST_NAMED = 20;

/** The list to store: each name once, in order. Throws GatewayError `invalid_request`. */
export function validModels(models: AllowedModels): string[] | null {
  if (models === null) return null;
  const names = [...new Set(models)].sort();
  if (names.length === 0 || names.length > MOST_MODELS)
    throw new GatewayError("invalid_request", `name 1 to ${MOST_MODELS} models, or allow all`, { param: "models" });
  for (const name of names)
    // Half of a surrogate pair (Cs) is no text for the audit log's JSON.
    if (name.trim() !== name || name === "" || name.length > LONGEST || /[\p{Cc}\p{Cs}]/u.test(name))
      throw new GatewayError("invalid_request", `${JSON.stringify(name)} is not a model's name`, { param: "models" });
  return names;
}

export function mayUse(allowed: AllowedModels, model: string): boolean {
  return allowed === null || allowed.includes(model);
}

/** Throws GatewayError `model_not_allowed`, with the models that are. `model` is the served name, not what the client called it. */
export function assertModelAllowed(allowed: AllowedModels, model: string): void {
  if (allowed === null || allowed.includes(model)) return;
  throw new GatewayError("model_not_allowed", `this key may not use ${model}; it may use ${inShort(allowed)}`, {
    param: "model",
  });
}

/** `a, b and 12 more`: for messages. */
export function inShort(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return names.slice(0, MOST_NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
