/** Decides which models a session uses and how large its window and its answers may be. */
import type { GatewayFacts, ServedModel } from "./gateway-facts.ts";

export type LaunchPlan = {
  /** The gateway's base URL, without a trailing slash. */
  url: string;
  key: string;
  /** Served names by Claude Code's families; `main` is what the session starts with. */
  models: { main: string; opus: string; sonnet: string; haiku: string };
  /** Every served name: a model that the user set in the shell is kept when it is one of them. */
  served: readonly string[];
  /** Tokens that the main model's engine takes, prompt and answer together; undefined when the engine does not say. */
  contextWindow: number | undefined;
  /** Most tokens of one answer. */
  maxOutput: number;
};

/** The client's own default for a model that it does not know (read in 2.1.330). */
const CLIENT_DEFAULT_OUTPUT = 32_000;

/** What the user asks for: `--model`, and ANTHROPIC_MODEL of the shell, which counts only when it names a served model. */
export type ModelWish = { option: string | undefined; environment: string | undefined };

/**
 * Plans a session. `--model` may be a served name, a family (`opus`) or any `claude-…` name; undefined comes back when it is
 * none of these.
 */
export function planLaunch(url: string, key: string, facts: GatewayFacts, wish: ModelWish): LaunchPlan | undefined {
  const main = mainModel(facts, wish);
  if (main === undefined) return undefined;
  const { opus, sonnet, haiku } = facts.families;
  const model = facts.models.find((served) => served.id === main);
  return {
    url: url.replace(/\/+$/, ""),
    key,
    models: { main, opus, sonnet, haiku },
    served: facts.models.map((served) => served.id),
    contextWindow: model?.context_window ?? undefined,
    maxOutput: maxOutput(model),
  };
}

function mainModel(facts: GatewayFacts, wish: ModelWish): string | undefined {
  if (wish.option !== undefined) return resolveModel(wish.option, facts);
  return facts.models.find((served) => served.id === wish.environment)?.id ?? facts.families.default;
}

/** The served name that a user means: families and `claude-…` names are mapped here, as the gateway maps them. */
function resolveModel(wanted: string, facts: GatewayFacts): string | undefined {
  if (facts.models.some((served) => served.id === wanted)) return wanted;
  const name = wanted.toLowerCase().replace(/\[1m\]$/, "");
  const { families } = facts;
  if (name === "default") return families.default;
  for (const family of ["opus", "sonnet", "haiku"] as const) {
    if (name === family || (name.startsWith("claude-") && name.includes(family))) return families[family];
  }
  return name.startsWith("claude-") ? families.default : undefined;
}

/**
 * An eighth of the window, at most the client's own default. The client holds back this much and 13,000 tokens more before
 * it compacts (measured with `/context` on 2.1.197 and 2.1.330): a flat 16,384 leaves a 40k window less than the 14k
 * that the first request takes, and the session would compact for ever.
 */
function maxOutput(model: ServedModel | undefined): number {
  const window = model?.context_window ?? undefined;
  const share = window === undefined ? CLIENT_DEFAULT_OUTPUT : Math.max(1024, Math.floor(window / 8));
  return Math.min(share, model?.max_output ?? CLIENT_DEFAULT_OUTPUT, CLIENT_DEFAULT_OUTPUT);
}
