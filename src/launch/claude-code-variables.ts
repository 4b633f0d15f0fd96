/**
 * Knows every environment variable that Evener sets for Claude Code: its value, who wins when the user has set it too, and
 * why it is set. The table in docs/claude-code.md is this one, rendered (claude-code.test.ts holds them together).
 *
 * Behaviour was observed on 2.1.197 and 2.1.330; "client" is Claude Code.
 */
import type { LaunchPlan } from "./launch-plan.ts";
import { extraBodyWithoutThinking } from "./thinking-off.ts";

export type Environment = { readonly [name: string]: string | undefined };

/**
 * Who wins when the user's environment has the variable already: `evener` (the session would not reach the gateway
 * otherwise), `user`, `smaller` (the smaller number of the two), `served` (the user, if the gateway serves that model).
 */
export type Precedence = "evener" | "user" | "smaller" | "served";

export type Variable = {
  name: string;
  precedence: Precedence;
  /** The value, or undefined to leave the variable as the user has it. */
  value: (plan: LaunchPlan, user: Environment) => string | undefined;
  /** What the value is, for the reference. */
  shown: string;
  why: string;
};

/** The client takes smaller values of CLAUDE_CODE_AUTO_COMPACT_WINDOW for this, and says so on stderr at every start. */
const SMALLEST_COMPACT_WINDOW = 100_000;

/** Half an hour: a compaction or a non-streaming answer of a slow engine takes longer than the client's ten minutes. */
const REQUEST_PATIENCE_MS = 1_800_000;

export const VARIABLES: readonly Variable[] = [
  {
    name: "ANTHROPIC_BASE_URL",
    precedence: "evener",
    value: (plan) => plan.url,
    shown: "the gateway",
    why: "Where the client sends its requests.",
  },
  {
    name: "ANTHROPIC_AUTH_TOKEN",
    precedence: "evener",
    value: (plan) => plan.key,
    shown: "the virtual key",
    why: "Sent as `Authorization: Bearer`; the user's own login is not used and not touched.",
  },
  {
    name: "ANTHROPIC_MODEL",
    // `main` is the user's own wherever that is a served model: planLaunch has seen to it.
    precedence: "evener",
    value: (plan) => plan.models.main,
    shown: "the main model",
    why: "What the session starts with, whatever `/model` saved earlier. `evener claude --model` wins over it.",
  },
  ...family("OPUS", "opus"),
  ...family("SONNET", "sonnet"),
  ...family("HAIKU", "haiku"),
  ...family("FABLE", "opus"),
  {
    name: "CLAUDE_CODE_DISABLE_1M_CONTEXT",
    precedence: "evener",
    value: () => "1",
    shown: "`1`",
    why: "An unknown model behind the opus family is taken for a 1M window otherwise.",
  },
  {
    name: "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
    precedence: "smaller",
    value: (plan) => plan.contextWindow?.toString(),
    shown: "the engine's window",
    why: "The real window. The client heeds it only for models whose names do not start with `claude-`.",
  },
  {
    name: "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
    precedence: "smaller",
    value: (plan) =>
      plan.contextWindow !== undefined && plan.contextWindow >= SMALLEST_COMPACT_WINDOW
        ? plan.contextWindow.toString()
        : undefined,
    shown: "the engine's window, from 100,000",
    why: "Compact before the engine's end. Below 100,000 the client ignores it with a warning and uses the window itself.",
  },
  {
    name: "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    precedence: "smaller",
    value: (plan) => plan.maxOutput.toString(),
    shown: "1/8 of the window, at most 32,000",
    why: "The client holds this much and 13,000 tokens more back before it compacts.",
  },
  {
    name: "CLAUDE_CODE_ATTRIBUTION_HEADER",
    precedence: "user",
    value: () => "0",
    shown: "`0`",
    why: "Older versions put a changing line at the head of the prompt: no prefix of it could be reused.",
  },
  {
    name: "CLAUDE_CODE_TOTAL_TOKENS_REMINDER",
    precedence: "user",
    value: () => "off",
    shown: "`off`",
    why: "No token count that changes from turn to turn inside the prompt.",
  },
  {
    name: "ENABLE_TOOL_SEARCH",
    precedence: "user",
    value: () => "true",
    shown: "`true`",
    why: "Rare tools are loaded on demand: the first request is 48 KB and not 75 KB on versions where this is not the default.",
  },
  {
    name: "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    precedence: "user",
    value: () => "1",
    shown: "`1`",
    why: "No telemetry, error reports, updates or feature flags from the client's maker.",
  },
  {
    name: "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL",
    precedence: "user",
    value: () => "1",
    shown: "`1`",
    why: "Interactive sessions would still fetch the plug-in marketplace.",
  },
  {
    name: "API_TIMEOUT_MS",
    precedence: "user",
    value: () => REQUEST_PATIENCE_MS.toString(),
    shown: "`1800000`",
    why: "Half an hour and not ten minutes: compactions of long sessions take longer on small engines.",
  },
  {
    name: "ANTHROPIC_CUSTOM_HEADERS",
    precedence: "evener",
    value: (_plan, user) => withoutCredentials(user["ANTHROPIC_CUSTOM_HEADERS"]),
    shown: "the user's, without credentials",
    why: "A second credential would make the gateway refuse the request, and is none of its business.",
  },
  {
    name: "CLAUDE_CODE_EXTRA_BODY",
    precedence: "evener",
    value: (_plan, user) => extraBodyWithoutThinking(user),
    shown: "the user's, with thinking off",
    why: "Only with `MAX_THINKING_TOKENS=0` or `CLAUDE_CODE_DISABLE_THINKING=1`: the client then says nothing of thinking, and models that think by default would.",
  },
  noProxy("NO_PROXY"),
  noProxy("no_proxy"),
];

/** A family's model, and its title in the `/model` picker. */
function family(NAME: string, key: "opus" | "sonnet" | "haiku"): Variable[] {
  const shown = `the ${key} model`;
  return [
    {
      name: `ANTHROPIC_DEFAULT_${NAME}_MODEL`,
      precedence: "served",
      value: (plan) => plan.models[key],
      shown,
      why: `What \`${NAME.toLowerCase()}\` means, in \`/model\`, subagents and side calls.`,
    },
    {
      name: `ANTHROPIC_DEFAULT_${NAME}_MODEL_NAME`,
      precedence: "user",
      value: (plan) => plan.models[key],
      shown,
      why: "Its title in the `/model` picker.",
    },
  ];
}

function withoutCredentials(headers: string | undefined): string | undefined {
  if (headers === undefined) return undefined;
  return headers
    .split("\n")
    .filter((line) => !/^\s*(authorization|x-api-key|proxy-authorization|cookie)\s*:/i.test(line))
    .join("\n");
}

/** Two spellings, because which of them a client prefers differs. */
function noProxy(name: "NO_PROXY" | "no_proxy"): Variable {
  return {
    name,
    precedence: "evener",
    value: (plan, user) => withLoopback(plan, user),
    shown: "the user's and the gateway",
    why: "Only with a proxy in the environment and the gateway on this machine: the proxy could not reach it.",
  };
}

function withLoopback(plan: LaunchPlan, user: Environment): string | undefined {
  const proxied = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].some((name) => user[name] || user[name.toLowerCase()]);
  const host = new URL(plan.url).hostname.replace(/^\[|\]$/g, "");
  if (!proxied || !(host === "localhost" || host === "::1" || host.startsWith("127."))) return undefined;
  const listed = (user["NO_PROXY"] ?? user["no_proxy"] ?? "").split(",").map((entry) => entry.trim());
  return [...listed.filter((entry) => entry !== "" && entry !== host), host].join(",");
}
