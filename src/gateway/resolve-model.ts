/** The model that a request asks for, or an error that tells what there is instead. */
import { GatewayError } from "../conversation/errors.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import type { ServedModel } from "../routing/model-registry.ts";
import type { Gateway } from "./gateway.ts";

const MOST_NAMED = 20;

/** Throws `model_not_found` with the models that are served, or `engine_unreachable` when no engine has answered yet. */
export function resolveModel(gateway: Pick<Gateway, "models" | "engines">, name: string): ServedModel<EngineInfo> {
  const model = gateway.models.resolve(name);
  if (model !== undefined) return model;
  const served = gateway.models.models.map((each) => each.id);
  if (served.length === 0) throw noEngine(gateway);
  const named =
    served.slice(0, MOST_NAMED).join(", ") +
    (served.length > MOST_NAMED ? ` and ${served.length - MOST_NAMED} more` : "");
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
