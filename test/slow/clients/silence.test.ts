/**
 * An engine that says nothing for longer than clients like: the gateway's signs of life keep every client waiting, and none sends
 * its request again. All clients at once, because waiting is all that they do.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CLAUDE_VERSIONS, installClaude, PRINT_EVENTS, runClaude } from "../../support/claude.ts";
import { gitRepository, runAider } from "../../support/client-aider.ts";
import { runCodex } from "../../support/client-codex.ts";
import { installAider, installCodex, installOpenCode, installQwenCode } from "../../support/client-install.ts";
import { runOpenCode } from "../../support/client-opencode.ts";
import { runQwen } from "../../support/client-qwen.ts";
import { faultySession, PROMPT, PROOF, story } from "../../support/client-script.ts";
import { type ClientStand, startClientStand } from "../../support/client-stand.ts";
import type { Finished } from "../../support/run-process.ts";

/** Claude Code warns after 20 s without a byte. */
const SILENCE_MS = 25_000;

type Client = {
  name: string;
  run: (stand: ClientStand, work: string) => Promise<Finished>;
  proof: string;
  rows: string[];
};

const OK = ["ok", "ok", "ok", "ok"];

const CLIENTS: readonly Client[] = [
  ...CLAUDE_VERSIONS.map((version) => ({
    name: `Claude Code ${version}`,
    run: async ({ evener }: ClientStand, cwd: string) =>
      runClaude(evener, {
        binary: await installClaude(version),
        args: ["-p", PROMPT, ...PRINT_EVENTS],
        cwd,
        timeoutMs: 180_000,
      }),
    proof: "proof.txt",
    rows: OK,
  })),
  ...(["openai-chat", "anthropic-messages"] as const).map((wire) => ({
    name: `OpenCode by ${wire}`,
    run: async ({ evener, simulator }: ClientStand, cwd: string) =>
      runOpenCode(evener, {
        binary: await installOpenCode(),
        wire,
        model: simulator.model,
        prompt: PROMPT,
        args: ["--title", "Sum"],
        cwd,
        timeoutMs: 180_000,
      }),
    proof: "proof.txt",
    rows: OK,
  })),
  {
    name: "Qwen Code",
    run: async ({ evener, simulator }, cwd) =>
      runQwen(evener, {
        client: await installQwenCode(),
        model: simulator.model,
        prompt: PROMPT,
        cwd,
        timeoutMs: 180_000,
      }),
    proof: "proof.txt",
    rows: OK,
  },
  {
    name: "Codex",
    run: async (stand, cwd) =>
      runCodex(stand.evener, {
        binary: await installCodex(),
        model: stand.simulator.model,
        prompt: PROMPT,
        home: stand.folder(),
        cwd,
        // Five minutes by default, which nobody wants to wait for here.
        config: ["model_providers.evener.stream_idle_timeout_ms=10000"],
        timeoutMs: 180_000,
      }),
    proof: "proof.txt",
    rows: OK,
  },
  {
    name: "aider",
    run: async ({ evener, simulator }, cwd) =>
      runAider(evener, {
        python: await installAider(),
        model: simulator.model,
        message: "Write proof.txt",
        files: ["proof.txt"],
        cwd,
        timeoutMs: 180_000,
      }),
    proof: "proof.txt",
    rows: ["ok", "whole ok"],
  },
];

let stands: Map<string, ClientStand>;

beforeAll(async () => {
  stands = new Map();
  for (const { name } of CLIENTS) stands.set(name, await startClientStand({ timeouts: { ping_ms: 2_000 } }));
});

afterAll(async () => {
  for (const stand of stands?.values() ?? []) await stand.stop();
});

it.concurrent.each(CLIENTS)("$name waits out a silent engine", async ({ name, run, proof, rows }) => {
  const stand = stands.get(name)!;
  const work = stand.folder();
  const fault = { kind: "silence", after: 3, ms: SILENCE_MS } as const;
  if (name === "aider") {
    gitRepository(work, { "proof.txt": "" });
    stand.simulator.setScript(({ messages }) =>
      JSON.stringify(messages[0]).includes("commit message")
        ? { text: "feat: write the proof" }
        : { text: `Here it is.\n\nproof.txt\n\`\`\`\n${PROOF}\`\`\`\n`, fault },
    );
  } else {
    stand.simulator.setScript(faultySession({ fault, directory: work }));
  }
  const mark = await stand.mark();
  const finished = await run(stand, work);
  expect(finished).toMatchObject({ code: 0 });
  expect(readFileSync(join(work, proof), "utf8")).toBe(PROOF);
  expect(story(await mark.rows())).toEqual(rows);
});
