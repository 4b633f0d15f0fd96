/**
 * The questions that are put to a live engine. One that has no answer, or a strange one, counts as "not that engine",
 * except for the list of models, without which there is no engine.
 */
import { GatewayError } from "../conversation/errors.ts";
import type { EngineAddress } from "./engine-address.ts";
import { engineError } from "./engine-error.ts";
import { type Fields, asFields, asList, asText, jsonAnswer } from "./json-fields.ts";
import { kvCapacity } from "./kv-capacity.ts";
import type { ListedModel } from "./model-windows.ts";
import { ENGINE_PROFILES, type EngineKind } from "./profile.ts";
import { sglangServer } from "./sglang-server.ts";
import type { SmallAnswer } from "./small-request.ts";
import type { Upstream } from "./upstream.ts";

export class EngineLook {
  readonly #upstream: Upstream;
  readonly #engine: EngineAddress;
  readonly #timeoutMs: number;
  /** Answers to POSTs, which are kept from look to look. */
  answers = new Map<string, Fields>();

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
    if (asText(ollama?.["version"]) !== undefined) {
      const ollamaOnly = listed.length === 0 || ENGINE_PROFILES.ollama.ownedBy.some((name) => owners.has(name));
      if (ollamaOnly || (await this.#isOllamasList(listed))) return "ollama";
    }
    return "openai-compatible";
  }

  /** Ollama's `owned_by` is where a model came from (`library`, or a name on another hub); its own list has the same models. */
  async #isOllamasList(listed: readonly ListedModel[]): Promise<boolean> {
    const tags = asList((await this.json("/api/tags"))?.["models"]);
    const names = new Set(tags.filter((tag) => asText(tag["digest"]) !== undefined).map((tag) => tag["name"]));
    return listed.every(({ id }) => names.has(id));
  }

  async version(kind: EngineKind): Promise<string | undefined> {
    switch (kind) {
      case "vllm":
        return asText((await this.json("/version"))?.["version"]);
      case "sglang":
        return asText((await sglangServer((path) => this.json(path)))?.["version"]);
      case "llama.cpp":
        return asText((await this.json("/props"))?.["build_info"]);
      case "ollama":
        return asText((await this.json("/api/version"))?.["version"]);
      default:
        return undefined;
    }
  }

  kvTokens(kind: EngineKind): Promise<number | undefined> {
    return kvCapacity(kind, { metrics: () => this.#text("/metrics"), json: (path) => this.json(path) });
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

  /** GETs, or POSTs a body unless that was answered before; undefined unless it is answered with a JSON object. */
  async json(path: string, body?: string): Promise<Fields | undefined> {
    const key = body === undefined ? undefined : `${path} ${body}`;
    const known = key === undefined ? undefined : this.answers.get(key);
    if (known !== undefined) return known;
    const answer = jsonAnswer(await this.#request(path, body).catch(() => undefined));
    if (key !== undefined && answer !== undefined) this.answers.set(key, answer);
    return answer;
  }

  async #text(path: string): Promise<string | undefined> {
    const answer = await this.#request(path).catch(() => undefined);
    return answer?.status === 200 ? answer.text : undefined;
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
