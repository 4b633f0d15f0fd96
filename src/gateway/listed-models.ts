/**
 * The models as a key sees them: those that it may use, each by its own name, and once more by the `claude-…` name that pickers keep.
 */
import { type AllowedModels, assertModelAllowed, mayUse } from "../admission/allowed-models.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import type { ServedModel } from "../routing/model-registry.ts";
import type { ListedModel } from "../wire/model-list.ts";
import type { Gateway } from "./gateway.ts";

/** Unix seconds at which this gateway began to list models: engines do not say when a model was made. */
const CREATED = Math.floor(Date.now() / 1000);

export function listedModels(gateway: Pick<Gateway, "models">, allowed: AllowedModels): ListedModel[] {
  return usableModels(gateway, allowed).flatMap((model) => {
    const listed = asListed(model, model.id);
    return model.alias === model.id ? [listed] : [listed, { ...asListed(model, model.alias), alias: true }];
  });
}

/**
 * The model that a name means, under that name. Throws GatewayError `model_not_found` and `model_not_allowed`, in words that fit a
 * single model's page.
 */
export function listedModel(gateway: Pick<Gateway, "models">, name: string, allowed: AllowedModels): ListedModel {
  const model = gateway.models.resolve(name);
  if (model === undefined)
    throw new GatewayError("model_not_found", `model: ${name} is not served here`, { param: "model" });
  assertModelAllowed(allowed, model.id);
  return asListed(model, name);
}

export function usableModels(gateway: Pick<Gateway, "models">, allowed: AllowedModels): ServedModel<EngineInfo>[] {
  return gateway.models.models.filter((model) => mayUse(allowed, model.id));
}

function asListed(model: ServedModel<EngineInfo>, id: string): ListedModel {
  return {
    id,
    displayName: model.displayName,
    created: CREATED,
    alias: false,
    ...(model.contextWindow !== undefined && { contextWindow: model.contextWindow }),
  };
}
