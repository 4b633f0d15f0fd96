/** What the real Codex does, and what its user sees, when the engine behind the gateway fails in the middle of a session. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { type CodexOptions, type CodexRun, codexConfig, runCodex } from "../../support/client-codex.ts";
import { installCodex } from "../../support/client-install.ts";
import {
  type FaultySession,
  faultySession,
  IN_ARGUMENTS_AFTER_TEXT,
  IN_TEXT,
  PROMPT,
  PROMPT_OVERFLOW,
  PROOF,
  story,
} from "../../support/client-script.ts";
import { type ClientStand, type Mark, startClientStand } from "../../support/client-stand.ts";
import { startRecordingProxy } from "../../support/recording-proxy.ts";

const WINDOW = 150_000;
const THOUGHT = "The sum is known, so the file comes next.";
const ENGINE_CUT = "the engine closed the connection before its answer was complete";
const NO_ROOM =
  "Codex ran out of room in the model's context window. Start a new thread or clear earlier history before retrying.";
const RATE_LIMITED = { kind: "http", status: 429, headers: { "retry-after": "2" } } as const;

let stand: ClientStand;
let binary: string;
let work: string;
let home: string;
let mark: Mark;

beforeAll(async () => {
  binary = await installCodex();
  stand = await startClientStand({
    simulator: { maxModelLen: WINDOW, reasoning: true },
    timeouts: { probe_ms: 500, ping_ms: 500 },
  });
});

afterAll(() => stand?.stop());

beforeEach(async () => {
  work = stand.folder();
  home = stand.folder();
  mark = await stand.mark();
});

const run = (options: Partial<CodexOptions> = {}, key = stand.evener.key): Promise<CodexRun> =>
  runCodex(
    { url: stand.evener.url, key },
    {
      binary,
      model: stand.simulator.model,
      prompt: PROMPT,
      home,
      window: WINDOW,
      cwd: work,
      timeoutMs: 120_000,
      ...options,
    },
  );

function play(session: FaultySession, options?: Partial<CodexOptions>): Promise<CodexRun> {
  stand.simulator.setScript(faultySession({ ...session, directory: work }));
  return run(options);
}

/** What the user was told of failures; not the items of that type, one of which always says that the model is not of OpenAI's. */
const told = ({ events }: CodexRun): unknown[] =>
  events.flatMap(({ type, message }) => (type === "error" ? [message] : []));

const commands = ({ items }: CodexRun): number => items.filter(({ type }) => type === "command_execution").length;

/** With each command run once. */
function expectDone(finished: CodexRun): void {
  expect(finished).toMatchObject({ code: 0 });
  expect(finished.items.at(-1)).toMatchObject({ type: "agent_message", text: expect.stringMatching(/^Done\. /) });
  expect(finished.events.at(-1)).toMatchObject({ type: "turn.completed" });
  expect(commands(finished)).toBe(3);
  expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(PROOF);
}

function expectFailed(finished: CodexRun, message: unknown): void {
  expect(finished).toMatchObject({ code: 1 });
  expect(finished.events.at(-1)).toMatchObject({ type: "turn.failed", error: { message } });
}

it("waits as long as a 429 says, and goes on", async () => {
  const started = performance.now();
  const finished = await play({ fault: RATE_LIMITED });
  expect(performance.now() - started).toBeGreaterThan(2_000);
  expectDone(finished);
  expect(told(finished)).toEqual([expect.stringMatching(/^Reconnecting\.\.\. 1\/5 \(.*429 Too Many Requests/)]);
  expect(story(await mark.rows())).toEqual(["ok", "error: rate_limited", "ok", "ok", "ok"]);
});

it("waits as long as a 429 says that comes behind signs of life", async () => {
  const started = performance.now();
  const finished = await play({ fault: [{ kind: "silence", after: "start", ms: 1_500 }, RATE_LIMITED] });
  expect(performance.now() - started).toBeGreaterThan(3_500);
  expectDone(finished);
  expect(told(finished)).toEqual([
    expect.stringMatching(
      /^Reconnecting\.\.\. 1\/5 \(rate limit exceeded: the engine asks to wait: .* try again in 2s\.\)$/,
    ),
  ]);
  expect(story(await mark.rows())).toEqual(["ok", "error: rate_limited", "ok (repeats 2)", "ok", "ok"]);
});

it("tries again after a 500, without a word", async () => {
  const finished = await play({ fault: { kind: "http", status: 500 } });
  expectDone(finished);
  expect(told(finished)).toEqual([]);
  expect(story(await mark.rows())).toEqual(["ok", "engine_died: engine_failed", "ok", "ok", "ok"]);
});

it.each<[string, FaultySession, string, string]>([
  ["text that breaks off", { fault: { kind: "cut", after: IN_TEXT } }, "engine_cut", ENGINE_CUT],
  [
    "reasoning that breaks off",
    { fault: { kind: "cut", after: IN_TEXT }, reasoning: THOUGHT },
    "engine_cut",
    ENGINE_CUT,
  ],
  [
    "an error of the engine's in its text",
    { fault: { kind: "error", after: IN_TEXT } },
    "engine_failed",
    "the engine failed (500): EngineCore encountered an issue. See stack trace (above) for the root cause.",
  ],
])("sends it all again after %s, and shows our words", async (_what, session, code, words) => {
  const finished = await play(session);
  expectDone(finished);
  expect(told(finished)).toEqual([`Reconnecting... 1/5 (stream disconnected before completion: ${words})`]);
  expect(story(await mark.rows())).toEqual(["ok", `engine_died: ${code}`, "ok (repeats 2)", "ok", "ok"]);
});

it("keeps finished text and reasoning before a call that breaks off, runs nothing of the call, and asks for the rest", async () => {
  const finished = await play({ fault: { kind: "cut", after: IN_ARGUMENTS_AFTER_TEXT + 12 }, reasoning: THOUGHT });
  expectDone(finished);
  expect(told(finished)).toEqual([`Reconnecting... 1/5 (stream disconnected before completion: ${ENGINE_CUT})`]);
  expect(mark.bodies()[2]!["messages"]).toMatchObject(
    expect.arrayContaining([
      expect.objectContaining({ role: "assistant", content: "Now I write the file.", reasoning: THOUGHT }),
    ]),
  );
  expect(story(await mark.rows())).toEqual(["ok", "engine_died: engine_cut", "ok", "ok", "ok"]);
});

it("gives up after five times more, with our words, and can be resumed", async () => {
  const failed = await play({ fault: { kind: "cut", after: IN_TEXT }, times: 6 });
  expectFailed(failed, `stream disconnected before completion: ${ENGINE_CUT}`);
  expect(story(await mark.rows())).toHaveLength(7);
  const finished = await run({ resume: failed.thread!, prompt: "Go on" });
  expect(finished).toMatchObject({ code: 0, thread: failed.thread });
  expect(readFileSync(join(work, "proof.txt"), "utf8")).toBe(PROOF);
  expect(new Set((await mark.rows()).map(({ session }) => session))).toEqual(new Set([failed.thread]));
});

it.each<[string, FaultySession["fault"]]>([
  ["at once", PROMPT_OVERFLOW],
  ["behind signs of life", [{ kind: "silence", after: "start", ms: 1_500 }, PROMPT_OVERFLOW]],
])(
  "says that the prompt does not fit when the engine refuses it %s, and does not send it again",
  async (_when, fault) => {
    const finished = await play({ fault });
    expectFailed(finished, NO_ROOM);
    expect(existsSync(join(work, "proof.txt"))).toBe(false);
    expect(story(await mark.rows())).toEqual(["ok", "error: prompt_too_long"]);
  },
);

it("compacts in time where it knows the window, and goes on", async () => {
  let compactions = 0;
  stand.simulator.setScript(({ lastText, toolResults, turn }) => {
    if (lastText.includes("CONTEXT CHECKPOINT COMPACTION")) {
      compactions++;
      return { text: "The sum is 42." };
    }
    if (compactions > 0) return { text: `Done: ${lastText.includes("The sum is 42.")}` };
    expect({ toolResults, turn }).toEqual({ toolResults: 0, turn: 1 });
    return { calls: [{ name: "exec_command", arguments: { cmd: "echo sum=42" } }], promptTokens: WINDOW - 10_000 };
  });
  const finished = await run();
  expect(finished).toMatchObject({ code: 0 });
  expect(told(finished)).toEqual([]);
  expect(compactions).toBe(1);
  expect(finished.items.at(-1)).toMatchObject({ type: "agent_message", text: "Done: true" });
  expect(story(await mark.rows())).toEqual(["ok", "ok", "ok"]);
});

it("takes signs of life for life, in the middle of an answer and before it", async () => {
  const fault = [
    { kind: "silence", after: "start", ms: 4_000 },
    { kind: "silence", after: IN_TEXT, ms: 4_000 },
  ] as const;
  const finished = await play({ fault }, { config: ["model_providers.evener.stream_idle_timeout_ms=2000"] });
  expectDone(finished);
  expect(told(finished)).toEqual([]);
  expect(story(await mark.rows())).toEqual(["ok", "ok", "ok", "ok"]);
});

it("waits for an engine that is down, and goes on when it is back", async () => {
  stand.simulator.setScript(faultySession({ fault: RATE_LIMITED, times: 0, directory: work }));
  const { back } = await stand.goDown();
  const finished = await run();
  await back;
  expectDone(finished);
  const rows = story(await mark.rows());
  expect(rows.filter((row) => row !== "error: engine_unreachable")).toEqual(["ok", "ok", "ok", "ok"]);
});

const UNKNOWN_KEY = "unexpected status 401 Unauthorized: this key is not one of this gateway's, or it was revoked, ";

it("tries a key that is not known for seconds, and says why", async () => {
  const finished = await run({}, "sk-evener-unknown");
  expectFailed(finished, expect.stringContaining(UNKNOWN_KEY));
  expect(await mark.rows()).toEqual([]);
});

it("says so when the key was revoked, and goes on with the session by another one", async () => {
  const { key, revoke } = await stand.ownKey();
  stand.simulator.setScript(faultySession({ fault: RATE_LIMITED, times: 0, directory: work }));
  const first = await run({}, key);
  expectDone(first);
  await revoke();
  const refused = await run({ resume: first.thread!, prompt: "Again" }, key);
  expectFailed(refused, expect.stringContaining(UNKNOWN_KEY));
  const finished = await run({ resume: first.thread!, prompt: "Again" });
  expect(finished).toMatchObject({ code: 0, thread: first.thread });
  expect(story(await mark.rows())).toEqual(["ok", "ok", "ok", "ok", "ok"]);
});

it("asks nobody but the gateway, with the settings of the documentation", async () => {
  const proxy = await startRecordingProxy();
  try {
    const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url, NO_PROXY: "127.0.0.1" };
    expectDone(await play({ fault: RATE_LIMITED, times: 0 }, { env }));
    expect(proxy.asked).toEqual([]);
    // So that the proxy is known to be asked at all.
    expectDone(await play({ fault: RATE_LIMITED, times: 0 }, { env, config: ["features.plugins=true"] }));
    expect(proxy.asked).toContain("chatgpt.com:443");
  } finally {
    await proxy.close();
  }
});

it("is set up as the documentation shows", () => {
  const page = readFileSync(new URL("../../../docs/clients.md", import.meta.url), "utf8");
  expect(page).toContain(`\`\`\`toml\n${codexConfig("http://127.0.0.1:4400", "my-model")}\`\`\``);
});
