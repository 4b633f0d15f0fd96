/** How long the windows of an engine's models are: what it would take now, not what the model was trained for. */
import { type Fields, asCount, asFields, asList, asText } from "./json-fields.ts";
import type { EngineKind } from "./profile.ts";
import { sglangServer } from "./sglang-server.ts";

/** An entry of `/v1/models`, as the engine wrote it. */
export type ListedModel = { id: string; fields: Fields };

/** GETs, or POSTs a body; undefined unless it is answered with a JSON object. */
type AskJson = (path: string, body?: string) => Promise<Fields | undefined>;

/** Tokens; `no-chat` for a model that answers no chats (embeddings). Models whose window nobody tells are left out. */
export type ModelWindows = Map<string, number | "no-chat">;

export function modelWindows(kind: EngineKind, listed: readonly ListedModel[], ask: AskJson): Promise<ModelWindows> {
  switch (kind) {
    case "sglang":
      return sglang(listed, ask);
    case "llama.cpp":
      return llamaCpp(listed, ask);
    case "ollama":
      return ollama(listed, ask);
    case "lm-studio":
      return lmStudio(ask);
    case "openai-compatible":
      return compatible(listed, ask);
    case "vllm":
      return Promise.resolve(fromList(listed));
  }
}

/** vLLM and SGLang say `max_model_len`; gateways and hosted services `context_length` or `context_window`. */
function fromList(listed: readonly ListedModel[]): ModelWindows {
  const windows: ModelWindows = new Map();
  for (const { id, fields } of listed) {
    const window =
      asCount(fields["max_model_len"]) ?? asCount(fields["context_length"]) ?? asCount(fields["context_window"]);
    if (window !== undefined) windows.set(id, window);
  }
  return windows;
}

/** Text Generation Inference, which serves one model, says its window in `/info`. */
async function compatible(listed: readonly ListedModel[], ask: AskJson): Promise<ModelWindows> {
  const windows = fromList(listed);
  const [only, ...others] = listed;
  if (only === undefined || others.length > 0 || windows.size > 0) return windows;
  const window = asCount((await ask("/info"))?.["max_total_tokens"]);
  if (window !== undefined) windows.set(only.id, window);
  return windows;
}

/** Older SGLang lists no window, but tells the longest request that its memory holds. */
async function sglang(listed: readonly ListedModel[], ask: AskJson): Promise<ModelWindows> {
  const windows = fromList(listed);
  if (windows.size === listed.length) return windows;
  const server = await sglangServer(ask);
  const window = asCount(server?.["context_length"]) ?? asCount(server?.["max_req_input_len"]);
  for (const { id } of listed) if (window !== undefined && !windows.has(id)) windows.set(id, window);
  return windows;
}

/** `n_ctx` is one slot's share of the context; `n_ctx_train` is only what the model could have. */
async function llamaCpp(listed: readonly ListedModel[], ask: AskJson): Promise<ModelWindows> {
  const windows: ModelWindows = new Map();
  const settings = asFields((await ask("/props"))?.["default_generation_settings"]);
  for (const { id, fields } of listed) {
    const window = asCount(asFields(fields["meta"])?.["n_ctx"]) ?? asCount(settings?.["n_ctx"]);
    if (window !== undefined) windows.set(id, window);
  }
  return windows;
}

/**
 * A running model's `context_length`, else the `num_ctx` of its Modelfile. The `context_length` of the model itself is left
 * alone: Ollama cuts prompts silently at its own, much smaller default.
 */
async function ollama(listed: readonly ListedModel[], ask: AskJson): Promise<ModelWindows> {
  const windows: ModelWindows = new Map();
  const running = asList((await ask("/api/ps"))?.["models"]);
  await Promise.all(
    listed.map(async ({ id }) => {
      const loaded = running.find((model) => model["model"] === id || model["name"] === id);
      const window = asCount(loaded?.["context_length"]);
      if (window !== undefined) {
        windows.set(id, window);
        return;
      }
      const shown = await ask("/api/show", JSON.stringify({ model: id }));
      const chats = shown?.["capabilities"];
      const parameter = /^num_ctx\s+(\d+)/m.exec(asText(shown?.["parameters"]) ?? "")?.[1];
      if (Array.isArray(chats) && !chats.includes("completion")) windows.set(id, "no-chat");
      else if (parameter !== undefined) windows.set(id, Number(parameter));
    }),
  );
  return windows;
}

/** A loaded model's window is what it was loaded with; one that is not would be loaded with its own default, not its maximum. */
async function lmStudio(ask: AskJson): Promise<ModelWindows> {
  const windows: ModelWindows = new Map();
  for (const model of asList((await ask("/api/v0/models"))?.["data"])) {
    const id = asText(model["id"]);
    if (id === undefined) continue;
    const window = asCount(model["loaded_context_length"]);
    if (model["type"] === "embeddings") windows.set(id, "no-chat");
    else if (window !== undefined) windows.set(id, window);
  }
  return windows;
}
