/** The answer to GET /v1/models: every served name, with the window that it has. */
import type { Engine } from "./engine.ts";

/** `created` in Unix seconds. */
export function modelsBody(engine: Engine, created: number): string {
  const { options } = engine;
  const data = options.models.map((id) => ({
    id,
    object: "model",
    created,
    owned_by: "vllm",
    root: options.models[0],
    parent: null,
    max_model_len: options.maxModelLen,
    permission: [
      {
        id: `modelperm-${engine.nextId(16)}`,
        object: "model_permission",
        created,
        allow_create_engine: false,
        allow_sampling: true,
        allow_logprobs: true,
        allow_search_indices: false,
        allow_view: true,
        allow_fine_tuning: false,
        organization: "*",
        group: null,
        is_blocking: false,
      },
    ],
  }));
  return JSON.stringify({ object: "list", data });
}
