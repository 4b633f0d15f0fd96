/** The prefix cache: whether it is on, whether its hits are reported, and how much of it there is. */
import { randomBytes } from "node:crypto";
import type { JsonObject } from "../conversation/request.ts";
import { VLLM_CACHE_CONFIG, vllmCacheSize } from "../engine/kv-capacity.ts";
import { type MetricSample, readMetrics } from "../engine/metrics-text.ts";
import { ENGINE_PROFILES } from "../engine/profile.ts";
import type { AskEngine } from "./ask-engine.ts";
import { askChat } from "./chat-answer.ts";
import { type Finding, findingsOf } from "./finding.ts";
import type { Subject } from "./subject.ts";

const HITS = "vllm:prefix_cache_hits_total";

/** Words of the prompt that is sent twice: some 1,100 tokens, more than a block of most engines. */
const WORDS = 1_100;

/** A session of an agent that has worked for a while, tokens. */
const CONVERSATION = 50_000;

/** Undefined where the engine has no metrics. */
async function metricsOf(ask: AskEngine): Promise<MetricSample[] | undefined> {
  const { status, text } = await ask("/metrics");
  return status === 200 ? readMetrics(text, new Set([VLLM_CACHE_CONFIG, HITS])) : undefined;
}

export async function prefixCaching(ask: AskEngine, subject: Subject): Promise<Finding[]> {
  const on = findingsOf("prefix_caching");
  const reported = findingsOf("cached_tokens");
  const { model, kind } = subject;
  const chat: JsonObject = {
    model,
    // New each time, so that the first is surely not cached.
    messages: [{ role: "user", content: `${randomBytes(8).toString("hex")}${" word".repeat(WORDS)}` }],
    max_tokens: 1,
    temperature: 0,
  };
  const first = await askChat(ask, chat);
  const before = await metricsOf(ask);
  const second = await askChat(ask, chat);
  const after = await metricsOf(ask);
  const refused = [first, second].find((answer) => answer.kind === "refused");
  if (refused !== undefined) return [on.unknown(`a prompt of ${WORDS} words was refused: ${refused.words}`)];
  const usage = second.kind === "answer" ? second.usage : undefined;
  const of = usage?.prompt === undefined ? "" : ` of ${usage.prompt.toLocaleString("en-US")}`;
  const cached = usage?.cached;
  const hits = before === undefined || after === undefined ? undefined : total(after, HITS) - total(before, HITS);
  // Answers tell it only with a flag, the engine's metrics without.
  const found = cached || (hits ?? 0);

  const findings: Finding[] = [];
  const label = after?.find(({ name }) => name === VLLM_CACHE_CONFIG)?.labels["enable_prefix_caching"];
  if (label === "False")
    findings.push(on.bad("off: every turn of a conversation is computed from its beginning", CACHING_FLAGS[kind]));
  else if (found > 0) findings.push(on.ok(`${count(found)}${of} tokens of a repeated prompt came from cache`));
  else if (cached === 0 || hits === 0)
    findings.push(
      on.warning(`nothing of a repeated prompt${of && `${of} tokens`} came from cache`, CACHING_FLAGS[kind]),
    );
  else findings.push(on.unknown("the engine tells of no hits"));

  if (cached !== undefined) findings.push(reported.ok("in each answer's usage"));
  else if (ENGINE_PROFILES[kind].cachedTokens === "with-flag")
    findings.push(
      reported.warning("not told: cached tokens would be billed as if they had been computed", DETAIL_FLAGS[kind]),
    );
  else findings.push(reported.unknown("the engine does not tell"));
  return findings;
}

const CACHING_FLAGS: Partial<Record<Subject["kind"], string>> = {
  vllm: "start it with --enable-prefix-caching",
  sglang: "leave out --disable-radix-cache",
  "llama.cpp": "leave cache_prompt on, and its slots as many as conversations",
};
const DETAIL_FLAGS: Partial<Record<Subject["kind"], string>> = {
  vllm: "start it with --enable-prompt-tokens-details",
  sglang: "start it with --enable-cache-report",
};

export async function cacheCapacity(ask: AskEngine, { kind, window }: Subject): Promise<Finding[]> {
  const say = findingsOf("kv_capacity");
  if (kind !== "vllm") return [say.unknown("only vLLM tells")];
  const configs = (await metricsOf(ask))?.filter(({ name }) => name === VLLM_CACHE_CONFIG) ?? [];
  const sizes = configs.map(({ labels }) => vllmCacheSize(labels)).filter((size) => size !== undefined);
  if (sizes.length === 0) return [say.unknown("/metrics does not tell")];
  // Each engine of several (data parallel) has its own, and a conversation is in one of them.
  const smallest = Math.min(...sizes);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  const length = Math.min(CONVERSATION, window ?? CONVERSATION);
  const holds = `${count(all)} tokens: ${count(Math.floor(all / length))} conversations of ${count(length)}`;
  if (window !== undefined && smallest < window)
    return [
      say.warning(
        `${holds}, and less than one window of ${count(window)}`,
        "give it more memory (--gpu-memory-utilization, --kv-cache-dtype fp8), or lower --max-model-len",
      ),
    ];
  return [say.ok(holds)];
}

function total(samples: readonly MetricSample[], name: string): number {
  return samples.reduce((sum, sample) => sum + (sample.name === name ? sample.value : 0), 0);
}

function count(tokens: number): string {
  return tokens.toLocaleString("en-US");
}
