/** Looks at a live engine: which one it is, whether it can generate, which models it serves and how long their window is. */
import { GatewayError } from "../conversation/errors.ts";
import type { EngineAddress } from "./engine-address.ts";
import { engineError } from "./engine-error.ts";
import type { EngineInfo, EngineModel } from "./engine-info.ts";
import { type Fields, asFields, asList, asText, jsonAnswer } from "./json-fields.ts";
import { type ListedModel, modelWindows } from "./model-windows.ts";
import { ENGINE_PROFILES, type EngineKind } from "./profile.ts";
import type { SmallAnswer } from "./small-request.ts";
import type { Upstream } from "./upstream.ts";

const PROBE_TIMEOUT_MS = 10_000;

/**
 * Rejects with a `GatewayError` when there is no engine that could answer a chat: `engine_unreachable`, `engine_overloaded`
 * while it loads or when it reports itself unhealthy, `engine_failed` for a wrong key or a server that is no engine.
 */
export async function probeEngine(
  upstream: Upstream,
  engine: EngineAddress,
  timeoutMs = PROBE_TIMEOUT_MS,
): Promise<EngineInfo> {
  const look = new Look(upstream, engine, timeoutMs);
  const listed = await look.models();
  const kind = await look.kind(listed);
  const [version, windows, canTokenize] = await Promise.all([
    look.version(kind),
    modelWindows(kind, listed, (path, body) => look.json(path, body)),
    look.canTokenize(kind, listed),
    look.requireHealth(kind),
  ]);
  const models = listed
    .filter((model) => windows.get(model.id) !== "no-chat")
    .map(({ id, fields }) => {
      const window = windows.get(id);
      const root = asText(fields["root"]);
      const model: { -readonly [Key in keyof EngineModel]: EngineModel[Key] } = { id };
      if (typeof window === "number") model.contextWindow = window;
      if (root !== undefined && root !== id) model.root = root;
      return model;
    });
  return { kind, ...(version !== undefined && { version }), models, canTokenize };
}

/** One look; a request that has no answer or a strange one counts as "not that engine", except for the list of models. */
class Look {
  readonly #upstream: Upstream;
  readonly #engine: EngineAddress;
  readonly #timeoutMs: number;

  constructor(upstream: Upstream, engine: EngineAddress, timeoutMs: number) {
    this.#upstream = upstream;
    this.#engine = engine;
    this.#timeoutMs = timeoutMs;
  }

  async models(): Promise<ListedModel[]> {
    const answer = await this.#request("/v1/models");
    if (answer.status !== 200) {
      if (answer.status === 404 || (answer.status >= 300 && answer.status < 400))
        throw new GatewayError("engine_failed", `no engine here: /v1/models answered with status ${answer.status}`);
      throw engineError(answer.status, answer.headers, answer.text, { model: "" });
    }
    const data = jsonAnswer(answer)?.["data"];
    if (!Array.isArray(data))
      throw new GatewayError("engine_failed", "no engine here: /v1/models is not a list of models");
    return asList(data).flatMap((fields) => {
      const id = asText(fields["id"]);
      return id === undefined ? [] : [{ id, fields }];
    });
  }

  /** By the name that an engine writes into its list of models; without one, by an endpoint that only it has. */
  async kind(listed: readonly ListedModel[]): Promise<EngineKind> {
    const owners = new Set(listed.map((model) => model.fields["owned_by"]));
    for (const [kind, profile] of Object.entries(ENGINE_PROFILES)) {
      // Ollama's and LM Studio's are no names of their own; others might write the same.
      if (kind === "ollama" || kind === "lm-studio") continue;
      if (profile.ownedBy.some((name) => owners.has(name))) return kind as EngineKind;
    }
    const [sglang, llama, ollama, lmStudio] = await Promise.all([
      this.json("/get_model_info"),
      this.json("/props"),
      this.json("/api/version"),
      this.json("/api/v0/models"),
    ]);
    if (sglang?.["model_path"] !== undefined && sglang["is_generation"] !== undefined) return "sglang";
    if (asFields(llama?.["default_generation_settings"]) !== undefined) return "llama.cpp";
    if (asList(lmStudio?.["data"]).some((model) => asText(model["state"]) && asText(model["arch"]))) return "lm-studio";
    const ollamaOnly = listed.length === 0 || ENGINE_PROFILES.ollama.ownedBy.some((name) => owners.has(name));
    if (ollamaOnly && asText(ollama?.["version"]) !== undefined) return "ollama";
    return "openai-compatible";
  }

  async version(kind: EngineKind): Promise<string | undefined> {
    switch (kind) {
      case "vllm":
        return asText((await this.json("/version"))?.["version"]);
      case "sglang":
        return asText(((await this.json("/server_info")) ?? (await this.json("/get_server_info")))?.["version"]);
      case "llama.cpp":
        return asText((await this.json("/props"))?.["build_info"]);
      case "ollama":
        return asText((await this.json("/api/version"))?.["version"]);
      default:
        return undefined;
    }
  }

  /** Asks for the count of a chat of one word. */
  async canTokenize(kind: EngineKind, listed: readonly ListedModel[]): Promise<boolean> {
    const { countPrompt } = ENGINE_PROFILES[kind];
    const model = listed[0]?.id;
    if (countPrompt === "none" || model === undefined) return false;
    if (countPrompt === "input-tokens")
      return Array.isArray((await this.json("/tokenize", `{"content":"Hi"}`))?.["tokens"]);
    const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] });
    return typeof (await this.json("/tokenize", body))?.["count"] === "number";
  }

  /** vLLM goes on listing its models when its engine process has died; only its health tells. */
  async requireHealth(kind: EngineKind): Promise<void> {
    const path = ENGINE_PROFILES[kind].healthPath;
    if (path === undefined) return;
    const { status } = await this.#request(path);
    if (status === 200 || status === 404) return;
    throw new GatewayError(
      "engine_overloaded",
      `the engine reports that it is not healthy (${path} answered ${status})`,
    );
  }

  /** GETs, or POSTs a body; undefined unless it is answered with a JSON object. */
  async json(path: string, body?: string): Promise<Fields | undefined> {
    return jsonAnswer(await this.#request(path, body).catch(() => undefined));
  }

  #request(path: string, body?: string): Promise<SmallAnswer> {
    const request = {
      method: body === undefined ? ("GET" as const) : ("POST" as const),
      path,
      timeoutMs: this.#timeoutMs,
    };
    return this.#upstream.request(this.#engine, body === undefined ? request : { ...request, body });
  }
}
