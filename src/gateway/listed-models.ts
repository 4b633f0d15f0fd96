/** The models as /v1/models lists them: each served one by its own name, and once more by the `claude-…` name that pickers keep. */
import type { ListedModel } from "../wire/model-list.ts";
import type { Gateway } from "./gateway.ts";

/** Unix seconds at which this gateway began to list models: engines do not say when a model was made. */
const CREATED = Math.floor(Date.now() / 1000);

export function listedModels(gateway: Pick<Gateway, "models">): ListedModel[] {
  return gateway.models.models.flatMap((model) => {
    const listed = {
      id: model.id,
      displayName: model.displayName,
      created: CREATED,
      alias: false,
      ...(model.contextWindow !== undefined && { contextWindow: model.contextWindow }),
    };
    return model.alias === model.id ? [listed] : [listed, { ...listed, id: model.alias, alias: true }];
  });
}
