/** What can be set on a simulated engine, and what it is when nothing is set. */
import type { RecordedRequest } from "./record.ts";
import type { Script } from "./script.ts";

/** How the chat template treats what real templates treat differently; see chat-template.ts. */
export const TEMPLATES = ["accepts-system", "refuses-late-system", "drops-reasoning"] as const;
export type TemplateName = (typeof TEMPLATES)[number];

export type SimulatorOptions = {
  /** 0, the default, takes any free port. */
  port?: number;
  host?: string;
  /** Served name, or names: the first is listed first. */
  model?: string | readonly string[];
  /** Context window, tokens. */
  maxModelLen?: number;
  /** Requests that run at once; the others wait. */
  maxNumSeqs?: number;
  /** Uncached prompt tokens a second, shared by all requests; 0: no time at all. */
  prefillSpeed?: number;
  /** Generated tokens a second, each sequence; 0: as fast as possible. */
  decodeSpeed?: number;
  /** Tokens a block of the prefix cache. */
  blockSize?: number;
  /** Blocks that the prefix cache holds before it forgets the least recently used. */
  kvBlocks?: number;
  prefixCaching?: boolean;
  /** vLLM's `--enable-auto-tool-choice --tool-call-parser hermes`. */
  tools?: boolean;
  /** vLLM's `--reasoning-parser`. Without one, a scripted turn's reasoning stands in the content between `<think>` tags. */
  reasoning?: boolean;
  /** Accept images, at a fixed number of tokens each. */
  vision?: boolean;
  template?: TemplateName;
  /** vLLM's `--enable-prompt-tokens-details`. */
  promptTokensDetails?: boolean;
  /** vLLM's `--enable-request-id-headers`. */
  requestIdHeaders?: boolean;
  /** vLLM's `--scheduling-policy`. */
  schedulingPolicy?: "fcfs" | "priority";
  /** vLLM's `--api-key`: asked of everything under /v1. */
  apiKey?: string;
  /** Ids of answers follow from it. */
  seed?: number;
  /** Decides the answers; without one, or where it has none, see default-answer.ts. */
  script?: Script;
  /** How many of the last requests are kept for `requests`. */
  keepRequests?: number;
  /** Told of a chat request each time more of its answer was generated, before that is sent: what is told is never less than what anybody got. */
  onGenerated?: (record: RecordedRequest) => void;
};

export type EngineOptions = Required<
  Omit<SimulatorOptions, "port" | "host" | "model" | "script" | "apiKey" | "onGenerated">
> & {
  models: readonly [string, ...string[]];
  apiKey: string | undefined;
  onGenerated: SimulatorOptions["onGenerated"] | undefined;
};

export function resolveOptions(options: SimulatorOptions): EngineOptions {
  const [first = "simulated-model", ...others] =
    typeof options.model === "string" ? [options.model] : (options.model ?? []);
  return {
    models: [first, ...others],
    maxModelLen: positive("maxModelLen", options.maxModelLen ?? 131_072),
    maxNumSeqs: positive("maxNumSeqs", options.maxNumSeqs ?? 16),
    prefillSpeed: notNegative("prefillSpeed", options.prefillSpeed ?? 0),
    decodeSpeed: notNegative("decodeSpeed", options.decodeSpeed ?? 0),
    blockSize: positive("blockSize", options.blockSize ?? 16),
    kvBlocks: positive("kvBlocks", options.kvBlocks ?? 65_536),
    prefixCaching: options.prefixCaching ?? true,
    tools: options.tools ?? true,
    reasoning: options.reasoning ?? false,
    vision: options.vision ?? false,
    template: options.template ?? "accepts-system",
    promptTokensDetails: options.promptTokensDetails ?? true,
    requestIdHeaders: options.requestIdHeaders ?? true,
    schedulingPolicy: options.schedulingPolicy ?? "fcfs",
    apiKey: options.apiKey,
    seed: options.seed ?? 0,
    keepRequests: options.keepRequests ?? 200,
    onGenerated: options.onGenerated,
  };
}

function positive(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`${name} must be a whole number above 0, not ${value}`);
  return value;
}

function notNegative(name: string, value: number): number {
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name} must be 0 or more, not ${value}`);
  return value;
}
