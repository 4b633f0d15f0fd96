/** The model that a request asks for and its key may use, or an error that tells what there is instead. */
import { type AllowedModels, assertModelAllowed, inShort, mayUse } from "../admission/allowed-models.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import type { ServedModel } from "../routing/model-registry.ts";
import type { Gateway } from "./gateway.ts";

/**
 * Aliases and families are resolved first: what counts is the model that would answer. Throws `model_not_found` with the models that
 * are served, `model_not_allowed` with those that the key may use, or `engine_unreachable` when no engine has answered yet.
 */
export function resolveModel(
  gateway: Pick<Gateway, "models" | "engines">,
  name: string,
  allowed: AllowedModels,
): ServedModel<EngineInfo> {
  const model = gateway.models.resolve(name);
  if (model !== undefined) {
    assertModelAllowed(allowed, model.id);
    return model;
  }
  const served = gateway.models.models.map((each) => each.id);
  if (served.length === 0) throw noEngine(gateway);
  const named = inShort(served.filter((id) => mayUse(allowed, id))) || "none that this key may use";
  throw new GatewayError("model_not_found", `model: ${name} is not served here; served models: ${named}`, {
    param: "model",
  });
}

function noEngine({ engines }: Pick<Gateway, "engines">): GatewayError {
  const problems = engines.states.map((state) => `${state.address.name}: ${state.problem ?? "serves no model"}`);
  return new GatewayError(
    "engine_unreachable",
    `no engine serves a model now (${problems.join("; ") || "none is configured"})`,
  );
}
