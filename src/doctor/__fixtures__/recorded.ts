/**
 * What real vLLM 0.32.0 servers with SmolLM2-135M answered the doctor, by server: `good` (hermes), `wrong-reasoning-parser` (hermes and
 * `--reasoning-parser qwen3`, for a model that does not think), `no-parser` (nor prefix caching, nor token details) and `wrong-tool-parser`
 * (qwen3_xml, under a template that writes Hermes calls). Ids and times are taken out, and of /metrics all but two names.
 */
import { readFileSync } from "node:fs";
import { isObject } from "../../base/is-object.ts";
import type { JsonObject } from "../../conversation/request.ts";
import type { EngineInfo } from "../../engine/engine-info.ts";
import type { AskEngine, EngineReply } from "../ask-engine.ts";

type Recording = { info: EngineInfo; replies: Record<string, EngineReply[]> };

/** Rejects for what was not asked when it was recorded. */
export function recordedEngine(name: string): { info: EngineInfo; ask: AskEngine } {
  const file = new URL(`vllm-0.32.0/${name}.json`, import.meta.url);
  const { info, replies } = JSON.parse(readFileSync(file, "utf8")) as Recording;
  const ask: AskEngine = (path, body) => {
    const key = requestKey(path, body ?? {});
    // Asked twice, the second answer may differ; the last one stays.
    const left = replies[key] ?? [];
    const reply = left.length > 1 ? left.shift() : left[0];
    return reply === undefined ? Promise.reject(new Error(`not recorded: ${key}`)) : Promise.resolve(reply);
  };
  return { info, ask };
}

/** What tells the doctor's requests apart, in words. */
export function requestKey(path: string, body: JsonObject): string {
  const { tools, tool_choice, structured_outputs, chat_template_kwargs: how, messages, stream, max_tokens } = body;
  const [tool] = (Array.isArray(tools) ? tools : []) as { function: JsonObject }[];
  const list = (Array.isArray(messages) ? messages : []) as JsonObject[];
  const parts = [
    path,
    list.length > 0 && `${list.length} messages`,
    path === "/v1/chat/completions" && list.map(({ content }) => String(content).slice(-20)).join(" / "),
    tool && `tool ${JSON.stringify(tool.function["strict"] ?? null)} ${String((tool.function["parameters"] as JsonObject)["type"])}`,
    isObject(tool_choice) ? "named" : tool_choice,
    isObject(how) && `thinking ${String(how["enable_thinking"])}`,
    isObject(structured_outputs) && JSON.stringify(structured_outputs["choice"]),
    stream === true && "streamed",
    max_tokens !== undefined && `at most ${String(max_tokens)}`,
  ];
  return parts.filter((part) => part !== undefined && part !== false).join(", ");
}
