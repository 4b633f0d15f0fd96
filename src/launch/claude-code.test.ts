import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CONFLICTS } from "./claude-code-conflicts.ts";
import { type Environment, type Precedence, VARIABLES } from "./claude-code-variables.ts";
import { applyEnvironment, clientEnvironment } from "./claude-code.ts";
import type { LaunchPlan } from "./launch-plan.ts";

const PLAN: LaunchPlan = {
  url: "http://127.0.0.1:4400",
  key: "sk-evener-1",
  models: { main: "big", opus: "big", sonnet: "mid", haiku: "small" },
  served: ["big", "mid", "small"],
  contextWindow: 131_072,
  maxOutput: 16_384,
};

const setFor = (user: Environment, plan: Partial<LaunchPlan> = {}) => clientEnvironment({ ...PLAN, ...plan }, user).set;

describe("clientEnvironment", () => {
  it("sets everything that a session needs, in an empty shell", () => {
    expect(clientEnvironment(PLAN, {})).toEqual({
      set: {
        ANTHROPIC_BASE_URL: "http://127.0.0.1:4400",
        ANTHROPIC_AUTH_TOKEN: "sk-evener-1",
        ANTHROPIC_MODEL: "big",
        ANTHROPIC_DEFAULT_OPUS_MODEL: "big",
        ANTHROPIC_DEFAULT_OPUS_MODEL_NAME: "big",
        ANTHROPIC_DEFAULT_SONNET_MODEL: "mid",
        ANTHROPIC_DEFAULT_SONNET_MODEL_NAME: "mid",
        ANTHROPIC_DEFAULT_HAIKU_MODEL: "small",
        ANTHROPIC_DEFAULT_HAIKU_MODEL_NAME: "small",
        ANTHROPIC_DEFAULT_FABLE_MODEL: "big",
        ANTHROPIC_DEFAULT_FABLE_MODEL_NAME: "big",
        CLAUDE_CODE_DISABLE_1M_CONTEXT: "1",
        CLAUDE_CODE_MAX_CONTEXT_TOKENS: "131072",
        CLAUDE_CODE_AUTO_COMPACT_WINDOW: "131072",
        CLAUDE_CODE_MAX_OUTPUT_TOKENS: "16384",
        CLAUDE_CODE_ATTRIBUTION_HEADER: "0",
        CLAUDE_CODE_TOTAL_TOKENS_REMINDER: "off",
        ENABLE_TOOL_SEARCH: "true",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL: "1",
        API_TIMEOUT_MS: "1800000",
      },
      remove: [],
    });
  });

  it("always takes the session to the gateway, whatever the shell says", () => {
    const user = { ANTHROPIC_BASE_URL: "https://other.example", ANTHROPIC_AUTH_TOKEN: "theirs", ANTHROPIC_MODEL: "x" };
    expect(setFor(user)).toMatchObject({
      ANTHROPIC_BASE_URL: PLAN.url,
      ANTHROPIC_AUTH_TOKEN: PLAN.key,
      ANTHROPIC_MODEL: "big",
    });
  });

  it("leaves to the user what is the user's to decide", () => {
    const set = setFor({ API_TIMEOUT_MS: "1", ENABLE_TOOL_SEARCH: "false", CLAUDE_CODE_ATTRIBUTION_HEADER: "" });
    expect(set).not.toHaveProperty("API_TIMEOUT_MS");
    expect(set).not.toHaveProperty("ENABLE_TOOL_SEARCH");
    expect(set["CLAUDE_CODE_ATTRIBUTION_HEADER"]).toBe("0");
  });

  it.each([
    ["100000", undefined],
    ["131072", undefined],
    ["131073", "131072"],
    ["0", "131072"],
    ["-5", "131072"],
    ["lots", "131072"],
  ])("keeps the user's window of %s only where the engine has as much", (theirs, expected) => {
    expect(setFor({ CLAUDE_CODE_MAX_CONTEXT_TOKENS: theirs })["CLAUDE_CODE_MAX_CONTEXT_TOKENS"]).toBe(expected);
  });

  it("keeps the user's choice for a family only where the gateway serves it", () => {
    const set = setFor({ ANTHROPIC_DEFAULT_OPUS_MODEL: "small", ANTHROPIC_DEFAULT_HAIKU_MODEL: "claude-haiku-4-5" });
    expect(set).not.toHaveProperty("ANTHROPIC_DEFAULT_OPUS_MODEL");
    expect(set["ANTHROPIC_DEFAULT_HAIKU_MODEL"]).toBe("small");
  });

  it("sets no compaction window that the client would refuse, and no window that nobody knows", () => {
    expect(setFor({}, { contextWindow: 40_960 })).toMatchObject({ CLAUDE_CODE_MAX_CONTEXT_TOKENS: "40960" });
    expect(setFor({}, { contextWindow: 40_960 })).not.toHaveProperty("CLAUDE_CODE_AUTO_COMPACT_WINDOW");
    expect(setFor({}, { contextWindow: undefined })).not.toHaveProperty("CLAUDE_CODE_MAX_CONTEXT_TOKENS");
  });

  it("takes credentials out of custom headers and keeps the rest", () => {
    const headers = "X-Team: a\nAuthorization: Bearer t\nx-api-key: k\nX-Trace: 1";
    expect(setFor({ ANTHROPIC_CUSTOM_HEADERS: headers })["ANTHROPIC_CUSTOM_HEADERS"]).toBe("X-Team: a\nX-Trace: 1");
    expect(setFor({})).not.toHaveProperty("ANTHROPIC_CUSTOM_HEADERS");
  });

  it("tells the model when thinking is switched off, of which the client says nothing", () => {
    const extra = (user: Environment) => setFor(user)["CLAUDE_CODE_EXTRA_BODY"];
    const off = '{"thinking":{"type":"disabled"}}';
    expect(extra({ MAX_THINKING_TOKENS: "0" })).toBe(off);
    expect(extra({ CLAUDE_CODE_DISABLE_THINKING: "true", CLAUDE_CODE_EXTRA_BODY: "" })).toBe(off);
    expect(extra({ MAX_THINKING_TOKENS: "0", CLAUDE_CODE_EXTRA_BODY: '{"top_k":20}' })).toBe(
      '{"top_k":20,"thinking":{"type":"disabled"}}',
    );
    // Whatever else it says is the user's own: thinking that is on, a wish of their own, what is no object.
    for (const user of [
      {},
      { MAX_THINKING_TOKENS: "" },
      { MAX_THINKING_TOKENS: "8000", CLAUDE_CODE_DISABLE_THINKING: "0" },
    ])
      expect(extra(user)).toBeUndefined();
    for (const own of ['{"thinking":{"type":"adaptive"}}', "[1]", "{broken"])
      expect(extra({ MAX_THINKING_TOKENS: "0", CLAUDE_CODE_EXTRA_BODY: own })).toBeUndefined();
  });

  it("keeps a proxy away from a gateway on this machine, and only there", () => {
    const user = { https_proxy: "http://proxy:3128", NO_PROXY: "internal, 10.0.0.1" };
    expect(setFor(user)).toMatchObject({
      NO_PROXY: "internal,10.0.0.1,127.0.0.1",
      no_proxy: "internal,10.0.0.1,127.0.0.1",
    });
    expect(setFor(user, { url: "http://[::1]:4400" })).toMatchObject({ NO_PROXY: "internal,10.0.0.1,::1" });
    expect(setFor(user, { url: "https://gateway.example" })).not.toHaveProperty("NO_PROXY");
    expect(setFor({ NO_PROXY: "internal" })).not.toHaveProperty("NO_PROXY");
  });
});

describe("applyEnvironment", () => {
  it("leaves out what conflicts and keeps the rest of the shell", () => {
    const user = {
      PATH: "/bin",
      ANTHROPIC_API_KEY: "sk-ant",
      CLAUDE_CODE_USE_BEDROCK: "1",
      CLAUDE_CODE_USE_VERTEX: "",
    };
    const change = clientEnvironment(PLAN, user);
    expect(change.remove).toEqual(["ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK"]);
    const child = applyEnvironment(user, change);
    expect(child).toMatchObject({ PATH: "/bin", ANTHROPIC_BASE_URL: PLAN.url, CLAUDE_CODE_USE_VERTEX: "" });
    expect(child).not.toHaveProperty("ANTHROPIC_API_KEY");
  });
});

describe("docs/claude-code.md", () => {
  const doc = readFileSync(new URL("../../docs/claude-code.md", import.meta.url), "utf8");
  const wins: Record<Precedence, string> = {
    evener: "Evener",
    user: "you",
    smaller: "the smaller",
    served: "you, if served",
  };

  it("lists every variable with its value, who wins and why", () => {
    const expected = VARIABLES.map((variable) => [
      `\`${variable.name}\``,
      variable.shown,
      wins[variable.precedence],
      variable.why,
    ]);
    expect(tableUnder(doc, "## What is set")).toEqual(expected);
  });

  it("lists every variable that is left out, and why", () => {
    const expected = CONFLICTS.map((conflict) => [`\`${conflict.name}\``, conflict.why]);
    expect(tableUnder(doc, "## What is left out")).toEqual(expected);
  });
});

/** The body rows of the first table under a heading, cells trimmed. */
function tableUnder(doc: string, heading: string): string[][] {
  const lines = doc.slice(doc.indexOf(heading)).split("\n");
  const start = lines.findIndex((line) => line.startsWith("|"));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"));
  return lines.slice(start + 2, end === -1 ? undefined : end).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
