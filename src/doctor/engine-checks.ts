/** The engine itself: which one it is, what it serves, and how much of a conversation fits. */
import type { EngineInfo } from "../engine/engine-info.ts";
import { ENGINE_PROFILES } from "../engine/profile.ts";
import { type Finding, findingsOf } from "./finding.ts";
import type { Subject } from "./subject.ts";

/**
 * Tokens. Claude Code's first request takes 14,000, it keeps 13,000 more free, and with the longest answer, an eighth, there is no room for work below 40,000;
 * tools of one's own (MCP) make its head 20,000 to 30,000.
 */
const LEAST_WINDOW = 40_000;
const ROOMY_WINDOW = 64_000;

export function engineFound(info: EngineInfo): Finding[] {
  const say = findingsOf("engine");
  const name = `${ENGINE_PROFILES[info.kind].name}${info.version === undefined ? "" : ` ${info.version}`}`;
  if (info.kind === "openai-compatible")
    return [say.unknown(`${name} that Evener does not know; what only known engines tell is left out`)];
  return [say.ok(name)];
}

export function modelsServed(info: EngineInfo, { model }: Subject): Finding[] {
  const say = findingsOf("models");
  const others = info.models.map(({ id }) => id).filter((id) => id !== model);
  if (model.startsWith("claude-"))
    return [
      say.warning(
        `${model}: Claude Code takes it for one of its own, with a window that is not yours`,
        "serve it under a name that does not begin with claude-",
      ),
    ];
  if (others.length === 0) return [say.ok(model)];
  return [say.ok(`${model} is looked at, not ${others.join(", ")}`, "look at another with --model NAME")];
}

export function windowFits({ window, kind, model }: Subject): Finding[] {
  const say = findingsOf("window");
  if (window === undefined)
    return [say.unknown("the engine does not tell", `set models."${model}".context_window in evener.yaml`)];
  const tokens = `${window.toLocaleString("en-US")} tokens`;
  const more = `${WINDOW_FLAGS[kind] ?? "give it a larger window"}, as far as the model and the memory go`;
  if (window < LEAST_WINDOW)
    return [say.bad(`${tokens}: a coding agent's own instructions leave no room for work below 40,000`, more)];
  if (window < ROOMY_WINDOW) return [say.warning(`${tokens}: an agent has to compact often`, more)];
  return [say.ok(tokens)];
}

const WINDOW_FLAGS: Partial<Record<Subject["kind"], string>> = {
  vllm: "raise --max-model-len",
  sglang: "raise --context-length",
  "llama.cpp": "raise --ctx-size, which the slots share",
  ollama: "raise OLLAMA_CONTEXT_LENGTH",
  "lm-studio": "load it with a larger window",
};
