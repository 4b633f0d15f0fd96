/** The model that a request asks for and its key may use, or an error that tells what there is instead. */
import { type AllowedModels, assertModelAllowed, inShort, mayUse } from "../admission/allowed-models.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import type { EngineState } from "../routing/engine-pool.ts";
import type { ServedModel } from "../routing/model-registry.ts";
import type { Gateway } from "./gateway.ts";

/**
 * Aliases and families are resolved first: what counts is the model that would answer. Throws `model_not_found` with the models that
 * are served, `model_not_allowed` with those that the key may use, or `engine_unreachable` where an engine that has not answered yet may
 * serve it: clients take a model that is not found for gone, end their session, and do not ask again.
 */
export function resolveModel(
  gateway: Pick<Gateway, "models" | "engines">,
  name: string,
  allowed: AllowedModels,
): ServedModel<EngineInfo> {
  const model = gateway.models.resolve(name);
  const unseen = gateway.engines.states.filter(({ info }) => info === undefined);
  // Another model than the one configured for the name answers only when it is certain that no engine has that one.
  if (model !== undefined && (unseen.length === 0 || !gateway.models.isStandIn(name))) {
    assertModelAllowed(allowed, model.id);
    return model;
  }
  const served = gateway.models.models.map((each) => each.id);
  if (served.length === 0) throw noEngine(gateway);
  if (unseen.length > 0) throw notSeenYet(name, unseen);
  const named = inShort(served.filter((id) => mayUse(allowed, id))) || "none that this key may use";
  throw new GatewayError("model_not_found", `model: ${name} is not served here; served models: ${named}`, {
    param: "model",
  });
}

function noEngine({ engines }: Pick<Gateway, "engines">): GatewayError {
  return new GatewayError(
    "engine_unreachable",
    `no engine serves a model now (${problemsOf(engines.states) || "none is configured"})`,
  );
}

/** Since this gateway has started; it remembers what an engine served that went down later. */
function notSeenYet(name: string, unseen: readonly EngineState<EngineInfo>[]): GatewayError {
  return new GatewayError(
    "engine_unreachable",
    `no engine that answers serves ${name}, and not all have answered yet (${problemsOf(unseen)})`,
  );
}

function problemsOf(states: readonly EngineState<EngineInfo>[]): string {
  return states.map(({ address, problem }) => `${address.name}: ${problem ?? "serves no model"}`).join("; ");
}
