/**
 * What a real vLLM finds in its prefix cache of real sessions of Claude Code, through the built gateway, over three chat
 * templates. The share of a request: its cached tokens, of the prompt tokens of the request before it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { CLAUDE_VERSIONS, type ClaudeVersion, installClaude } from "../support/claude.ts";
import type { RunningEvener } from "../support/evener.ts";
import { startWithConfig } from "../support/wire-gateway.ts";
import { type PlayedEngine, startPlayedEngine } from "./support/played-engine.ts";
import { makeRepository, playFirstRequest, playSession, type PlayedSession } from "./support/prefix-session.ts";
import { percent, renderThreads, sessionThreads, type Step, type Thread } from "./support/prefix-table.ts";
import { SERVED_MODEL, startVllm, type Vllm } from "./support/vllm.ts";

const EVERY_TURN = 0.985;
const SECOND_SESSION = 0.7;
const LEAST_REQUESTS = 12;

type Played = PlayedSession & { threads: readonly Thread[] };
type ModelSettings = { shared_heads?: boolean; reasoning_replay?: string };

describe.each(["accepting", "refusing", "forgetting"] as const)("over the template that is %s", (template) => {
  let root: string;
  let vllm: Vllm;
  let engine: PlayedEngine;
  const summary: string[] = [];

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "evener-prefix-"));
    vllm = await startVllm({ model: "tinyqwen3", template });
    engine = await startPlayedEngine(vllm.url);
  });
  afterAll(async () => {
    await engine?.close();
    await vllm?.stop();
    rmSync(root, { recursive: true, force: true });
    console.log(summary.join("\n"));
  });

  /** A gateway with its own settings for the model, gone with the test. */
  async function gateway(settings: ModelSettings): Promise<RunningEvener> {
    const evener = await startWithConfig(engine.url, { models: { [SERVED_MODEL]: settings } });
    onTestFinished(() => evener.stop());
    return evener;
  }

  /** Where a session happens: a repository and a home that no other has. */
  async function place(evener: RunningEvener, version: ClaudeVersion) {
    const folder = mkdtempSync(join(root, "place-"));
    const work = makeRepository(folder, "project");
    return { evener, engine, binary: await installClaude(version), work, home: mkdtempSync(join(root, "home-")) };
  }

  /** Of the first prompt of a session somewhere else, the share that came from the cache. */
  async function firstShare(evener: RunningEvener, version: ClaudeVersion): Promise<number> {
    const id = await playFirstRequest(await place(evener, version));
    const [step] = (await sessionThreads(evener, id))[0]!.steps;
    return step!.cached / step!.prompt;
  }

  async function play(evener: RunningEvener, version: ClaudeVersion, title: string): Promise<Played> {
    const before = { ...(await vllm.counters()), readings: engine.readings.size };
    const session = await playSession(await place(evener, version));
    const threads = await sessionThreads(evener, session.id);
    console.log(renderThreads(`${title}, template ${template}`, threads, session.userTurns));
    summary.push(`${template}: ${title}: ${lowestShares(threads, session.userTurns)}`);
    await expectEnginesCounts(threads, before);
    return { ...session, threads };
  }

  /** The gateway's numbers are the engine's, request by request and in sum. */
  async function expectEnginesCounts(
    threads: readonly Thread[],
    before: { promptTokens: number; cachedTokens: number; readings: number },
  ): Promise<void> {
    const steps = threads.flatMap((thread) => thread.steps);
    const metered = new Map(steps.map(({ requestId, prompt, cached }) => [requestId, { prompt, cached }]));
    expect(metered).toEqual(new Map([...engine.readings].slice(before.readings)));
    const after = await vllm.counters();
    expect({
      prompt: steps.reduce((total, { prompt }) => total + prompt, 0),
      cached: steps.reduce((total, { cached }) => total + cached, 0),
    }).toEqual({
      prompt: after.promptTokens - before.promptTokens,
      cached: after.cachedTokens - before.cachedTokens,
    });
  }

  /** But for `excused` requests of the main loop, each prompt began with the one before. */
  function expectReuse({ threads }: Played, excused: readonly number[] = []): void {
    expect(threads.map(({ agent }) => agent)).toEqual([null, expect.any(String)]);
    const [main, subagent] = threads as [Thread, Thread];
    expect(main.steps.length).toBeGreaterThanOrEqual(LEAST_REQUESTS);
    const low = main.steps.filter(({ reused = 1 }, index) => reused < EVERY_TURN && !excused.includes(index));
    expect(low).toEqual([]);
    // A subagent's prompt is so short that a block more or less is above one percent.
    expect(subagent.steps.length).toBeGreaterThanOrEqual(2);
    const lost = subagent.steps.filter(({ reused = 1, possible = 1 }) => reused < Math.min(possible, EVERY_TURN));
    expect(lost).toEqual([]);
    expect(threads.flatMap(({ steps }) => steps.flatMap(({ prefixBreak }) => prefixBreak ?? []))).toEqual([]);
  }

  describe.each(CLAUDE_VERSIONS)("Claude Code %s", (version) => {
    it("has each turn's prompt computed once", async () => {
      const played = await play(await gateway({}), version, `Claude Code ${version}`);
      // The template has something to forget.
      expect(played.replayed.answers).toBeGreaterThanOrEqual(LEAST_REQUESTS);
      expect(played.replayed.withReasoning).toBe(played.replayed.answers);
      expectReuse(played, template === "forgetting" ? played.userTurns : []);
    });

    it("shares its head with a session in another directory, where the model's settings say so", async () => {
      const apart = await gateway({});
      await firstShare(apart, version);
      const without = await firstShare(apart, version);
      const shared = await gateway({ shared_heads: true });
      await firstShare(shared, version);
      const withShared = await firstShare(shared, version);
      summary.push(
        `${template}: Claude Code ${version}, first request of a second session: ${percent(withShared)} with shared heads, ${percent(without)} without`,
      );
      expect(withShared).toBeGreaterThanOrEqual(SECOND_SESSION);
      expect(without).toBeLessThan(SECOND_SESSION);
    });
  });

  // The template has no part in it: one is enough.
  it.each(template === "refusing" ? CLAUDE_VERSIONS : [])(
    "computes once with shared heads too: %s",
    async (version) => {
      const evener = await gateway({ shared_heads: true });
      expectReuse(await play(evener, version, `Claude Code ${version}, shared heads`));
    },
  );

  it.each(template === "forgetting" ? CLAUDE_VERSIONS.slice(0, 1) : [])(
    "loses nothing where reasoning is replayed as text: %s",
    async (version) => {
      const evener = await gateway({ reasoning_replay: "content" });
      expectReuse(await play(evener, version, `Claude Code ${version}, reasoning as text`));
    },
  );
});

/** The lowest shares, apart where they may differ, as a line for people. */
function lowestShares([main, ...subagents]: readonly Thread[], userTurns: readonly number[]): string {
  const lowest = (steps: readonly Step[] = []): string =>
    percent(Math.min(...steps.flatMap(({ reused }) => reused ?? [])));
  const within = main?.steps.filter((_, index) => !userTurns.includes(index));
  const begins = main?.steps.filter((_, index) => userTurns.includes(index));
  const others = subagents.flatMap(({ steps }) => steps);
  return `lowest ${lowest(within)} within a turn, ${lowest(begins)} where one begins, ${lowest(others)} in a subagent`;
}
