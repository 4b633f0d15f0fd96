/** Claude Code on a terminal, as a person uses it: `evener claude` gives it the terminal, and it calls nobody but the gateway. */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { CLAUDE_VERSIONS, installClaude } from "../support/claude.ts";
import { cleanEnvironment, EVENER, type RunningEvener, startEvener } from "../support/evener.ts";
import { startRecordingProxy } from "../support/recording-proxy.ts";
import { onTerminal, say } from "../support/terminal.ts";
import { canTrace, outsideAddresses, tracedCalls, tracer } from "../support/traced-connections.ts";
import { waitUntil } from "../support/wait-until.ts";

let simulator: Simulator;
let evener: RunningEvener;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "evener-terminal-"));
  simulator = await startSimulator();
  simulator.setScript([{ answer: { text: "Greetings-from-the-engine." } }]);
  evener = await startEvener({ engines: [simulator.url] });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
  rmSync(home, { recursive: true, force: true });
});

// `script` takes other arguments elsewhere.
describe.runIf(process.platform === "linux").each(CLAUDE_VERSIONS)("Claude Code %s", (version) => {
  it("takes a prompt, shows the answer, leaves on Ctrl-C, and was heard by the gateway alone", async () => {
    const binary = await installClaude(version);
    const work = join(home, version);
    mkdirSync(work);
    // What the questions of a first start would have written.
    const answered = {
      hasCompletedOnboarding: true,
      theme: "dark",
      projects: { [work]: { hasTrustDialogAccepted: true } },
    };
    writeFileSync(join(home, ".claude.json"), JSON.stringify(answered));
    const trace = join(home, `trace-${version}`);
    const proxy = await startRecordingProxy();
    const under = canTrace() ? tracer(trace) : [];
    const terminal = onTerminal([...under, process.execPath, EVENER, "claude"], work, {
      ...cleanEnvironment(home),
      IS_SANDBOX: "1",
      EVENER_URL: evener.url,
      EVENER_KEY: evener.key,
      EVENER_CLAUDE_BIN: binary,
      HTTPS_PROXY: proxy.url,
      HTTP_PROXY: proxy.url,
    });
    try {
      await waitUntil("the prompt", () => terminal.shown().includes("❯"), 20_000);
      const ended = once(terminal.child, "exit");
      const answer = "Greetings-from-the-engine.";
      await say(terminal, "hello-there", "the answer", () => terminal.shown().includes(answer));
      // Twice: the first asks whether it is meant. One that arrived as two would show no question.
      terminal.type("\x03");
      await waitUntil("the question", () => /Ctrl-C again to exit/.test(terminal.shown()));
      terminal.type("\x03");
      expect(await ended).toEqual([0, null]);
      expect(proxy.asked).toEqual([]);
      expect(canTrace() ? outsideAddresses(trace) : []).toEqual([]);
      expect(canTrace() ? tracedCalls(trace) : 1).toBeGreaterThan(0);
    } finally {
      terminal.child.kill("SIGKILL");
      await proxy.close();
    }
  });
});
