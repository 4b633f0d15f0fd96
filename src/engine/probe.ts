/** Looks at a live engine: which one it is, whether it can generate, which models it serves and how long their window is. */
import type { EngineAddress } from "./engine-address.ts";
import type { EngineInfo, EngineModel } from "./engine-info.ts";
import { EngineLook } from "./engine-look.ts";
import { type Fields, asText } from "./json-fields.ts";
import { type ListedModel, modelWindows } from "./model-windows.ts";
import type { EngineKind } from "./profile.ts";
import type { Upstream } from "./upstream.ts";

const PROBE_TIMEOUT_MS = 10_000;

/**
 * Rejects with a `GatewayError` when there is no engine that could answer a chat: `engine_unreachable`, `engine_overloaded`
 * while it loads or when it reports itself unhealthy, `engine_failed` for a wrong key or a server that is no engine.
 * Engines are looked at every few seconds: what cannot have changed since the last look is not asked again.
 */
export async function probeEngine(
  upstream: Upstream,
  engine: EngineAddress,
  timeoutMs = PROBE_TIMEOUT_MS,
): Promise<EngineInfo> {
  const memories = memoriesOf(upstream);
  const look = new EngineLook(upstream, engine, timeoutMs);
  try {
    const listed = await look.models();
    const memory = recall(memories.get(engine.url), listed);
    look.answers = memory.answers;
    memory.kind ??= await look.kind(listed);
    const [info, kvTokens] = await Promise.all([
      describe(look, memory.kind, listed),
      memory.kvTokens ?? look.kvTokens(memory.kind),
    ]);
    memory.kvTokens = kvTokens;
    memories.set(engine.url, memory);
    return kvTokens === undefined ? info : { ...info, kvTokens };
  } catch (error) {
    // Whatever comes up at this address after a failure may be another engine.
    memories.delete(engine.url);
    throw error;
  }
}

async function describe(look: EngineLook, kind: EngineKind, listed: readonly ListedModel[]): Promise<EngineInfo> {
  const [version, windows, canTokenize] = await Promise.all([
    look.version(kind),
    modelWindows(kind, listed, (path, body) => look.json(path, body)),
    look.canTokenize(kind, listed),
    look.requireHealth(kind),
  ]);
  const models = listed
    .filter((model) => windows.get(model.id) !== "no-chat")
    .map((model) => engineModel(model, windows.get(model.id)));
  return { kind, ...(version !== undefined && { version }), models, canTokenize };
}

function engineModel({ id, fields }: ListedModel, window: number | "no-chat" | undefined): EngineModel {
  const root = asText(fields["root"]);
  return {
    id,
    ...(typeof window === "number" && { contextWindow: window }),
    ...(root !== undefined && root !== id && { root }),
  };
}

/** What holds as long as an engine lists the same models: which engine it is, the size of its KV cache, and its answers to POSTs. */
type Memory = {
  models: string;
  kind: EngineKind | undefined;
  kvTokens: number | undefined;
  answers: Map<string, Fields>;
};

const remembered = new WeakMap<Upstream, Map<string, Memory>>();

function memoriesOf(upstream: Upstream): Map<string, Memory> {
  const memories = remembered.get(upstream) ?? new Map<string, Memory>();
  remembered.set(upstream, memories);
  return memories;
}

function recall(memory: Memory | undefined, listed: readonly ListedModel[]): Memory {
  // Ollama's `created` is when a model was last changed; elsewhere it is the time of the request.
  const models = JSON.stringify(
    listed.map(({ id, fields }) => [id, fields["owned_by"], fields["owned_by"] === "library" ? fields["created"] : 0]),
  );
  return memory?.models === models ? memory : { models, kind: undefined, kvTokens: undefined, answers: new Map() };
}
