/** What the real Claude Code does, and what its user sees, when money ends: budgets, credit, a long answer, a database that is away. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { formatUsd, parseUsd } from "../../../src/ledger/money.ts";
import { agentSession } from "../../../src/simulator/scripts/agent-session.ts";
import {
  CLAUDE_VERSIONS,
  type ClaudeRun,
  type ClaudeVersion,
  installClaude,
  PRINT_EVENTS,
  runClaude,
} from "../../support/claude.ts";
import { story } from "../../support/client-script.ts";
import { type ClientStand, type Mark, startClientStand } from "../../support/client-stand.ts";
import { cleanEnvironment, EVENER } from "../../support/evener.ts";
import { send } from "../../support/http.ts";
import { type Payer, type Payers, payersOf } from "../../support/payers.ts";
import { onTerminal, say, type Terminal } from "../../support/terminal.ts";
import { waitUntil } from "../../support/wait-until.ts";

/** Its notice came with 2.1.225, as its own documentation of gateways says. */
const WARNS = { "2.1.330": true, "2.1.197": false } satisfies Record<ClaudeVersion, boolean>;
const ANSWER = "Greetings-from-the-engine.";

/** `script`, which makes the terminal, takes other arguments elsewhere. */
const LINUX = process.platform === "linux";

let stand: ClientStand;
let payers: Payers;

beforeAll(async () => {
  stand = await startClientStand({ simulator: { maxModelLen: 150_000, model: ["test-model", "dear-model"] } });
  payers = payersOf(stand.evener);
  // What Claude Code says costs less than a percent of any budget here; what spends one for a test, a dollar for a thousand tokens.
  await payers.price("test-model", { input: "0.1", cacheRead: "0.01", output: "0.5" });
  await payers.price("dear-model", { input: "0", cacheRead: "0", output: "1000" });
});

afterAll(() => stand?.stop());

/** Spends so many thousandths of a dollar, to the token. */
async function spend(payer: Payer, thousandths: number): Promise<void> {
  const content = `[[sim:chunks=${thousandths}]]`;
  const { status, text } = await send(`${stand.evener.url}/v1/chat/completions`, {
    headers: { authorization: `Bearer ${payer.key}` },
    body: { model: "dear-model", max_tokens: thousandths, messages: [{ role: "user", content }] },
  });
  expect(status, text).toBe(200);
}

/** First of the next month, as the messages of a monthly budget have it. */
function monthsEnd(): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1)).toISOString().slice(0, 10);
}

/** The same day as the client writes it. */
function resetDay(): string {
  return new Date(`${monthsEnd()}T00:00:00Z`).toLocaleDateString("en-US", {
    timeZone: "UTC",
    month: "short",
    day: "numeric",
  });
}

const spentSentence = (usd: string): string =>
  `The monthly budget of this tenant (${usd} USD) is spent: wait until ${monthsEnd()} 00:00 UTC, or ask whoever runs this gateway for more.`;

const retries = (run: ClaudeRun) => run.events.filter(({ subtype }) => subtype === "api_retry");

describe.each(CLAUDE_VERSIONS)("Claude Code %s", (version: ClaudeVersion) => {
  let binary: string;
  let work: string;
  let mark: Mark;
  let payer: Payer;

  beforeAll(async () => {
    binary = await installClaude(version);
  });

  beforeEach(async () => {
    work = stand.folder();
    stand.simulator.setScript([{ answer: { text: ANSWER } }]);
    payer = await payers.payer();
    mark = await stand.mark();
  });

  const run = (args: readonly string[] = PRINT_EVENTS, prompt = "hello"): Promise<ClaudeRun> =>
    runClaude({ url: stand.evener.url, key: payer.key }, { binary, args: ["-p", prompt, ...args], cwd: work });

  /** On a terminal, past the questions of a first start. */
  async function open(line: readonly string[], env: Record<string, string>): Promise<Terminal> {
    const home = stand.folder();
    const project = join(home, "work");
    mkdirSync(project);
    const answered = {
      hasCompletedOnboarding: true,
      theme: "dark",
      projects: { [project]: { hasTrustDialogAccepted: true } },
    };
    writeFileSync(join(home, ".claude.json"), JSON.stringify(answered));
    const terminal = onTerminal(line, project, { ...cleanEnvironment(home), IS_SANDBOX: "1", ...env });
    onTestFinished(() => void terminal.child.kill("SIGKILL"));
    await waitUntil("the prompt", () => terminal.shown().includes("❯"), 30_000);
    return terminal;
  }

  const launched = (): Promise<Terminal> =>
    open([process.execPath, EVENER, "claude"], {
      EVENER_URL: stand.evener.url,
      EVENER_KEY: payer.key,
      EVENER_CLAUDE_BIN: binary,
    });

  /** As somebody who has signed in to a gateway: the mode in which the client shows what it has heard of a limit. */
  const signedIn = (): Promise<Terminal> =>
    open([binary], {
      CLAUDE_CODE_USE_GATEWAY: "1",
      ANTHROPIC_BASE_URL: stand.evener.url,
      ANTHROPIC_AUTH_TOKEN: payer.key,
      ANTHROPIC_MODEL: "test-model",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL: "1",
    });

  it("shows our sentence when a budget is spent, and gives up at once", async () => {
    await spend(payer, 1_000);
    await payers.budget({ tenant: payer.tenant }, "month", "1");
    mark = await stand.mark();
    const finished = await run();
    expect(finished).toMatchObject({ code: 1, result: { is_error: true, api_error_status: 429 } });
    expect(finished.result?.["result"]).toBe(`API Error: Request rejected (429) · ${spentSentence("1.00")}`);
    expect(retries(finished)).toEqual([]);
    expect(story(await mark.rows())).toEqual(["error: budget_exceeded"]);
    expect(mark.bodies()).toEqual([]);
  });

  it.runIf(LINUX)("shows it on a terminal, too", async () => {
    await spend(payer, 1_000);
    await payers.budget({ tenant: payer.tenant }, "month", "1");
    mark = await stand.mark();
    const terminal = await launched();
    const sentence = `API Error: Request rejected (429) · ${spentSentence("1.00")}`;
    await say(terminal, "hello-there", "the sentence", () => terminal.shown().includes(sentence));
    expect(new Set(story(await mark.rows()))).toEqual(new Set(["error: budget_exceeded"]));
  });

  it("leaves a session that usage, invoice and verify agree on, to the nano-dollar", async () => {
    stand.simulator.setScript(agentSession({ file: "proof.txt", content: "sum=42\n", command: "echo sum=$((40+2))" }));
    const finished = await run(PRINT_EVENTS, "Compute 40+2 and write it to proof.txt");
    expect(finished).toMatchObject({ code: 0, result: { is_error: false } });
    const rows = await mark.rows();
    expect(rows.length).toBeGreaterThanOrEqual(4);
    const nano = rows.reduce((sum, { cost }) => sum + BigInt(cost), 0n);
    expect(nano).toBeGreaterThan(0n);
    const json = async (...args: string[]): Promise<unknown> => {
      const { code, stdout, stderr } = await stand.evener.cli([...args, "--tenant", payer.tenant, "--json"]);
      expect([code, stderr]).toEqual([0, ""]);
      return JSON.parse(stdout);
    };
    const session = finished.events.find((event) => event.subtype === "init")?.["session_id"];
    const sums = { session, requests: rows.length, not_ok: 0, cost_usd: formatUsd(nano) };
    expect(await json("usage", "--by", "session")).toMatchObject([sums]);
    const listed = (await json("usage", "--by", "request")) as { cost_usd: string }[];
    expect(listed.reduce((sum, { cost_usd }) => sum + parseUsd(cost_usd), 0n)).toBe(nano);
    const month = new Date().toISOString().slice(0, 7);
    expect(await json("invoice", "--month", month)).toMatchObject({ requests: rows.length });
    expect(JSON.stringify(await json("invoice", "--month", month))).toContain(`"${formatUsd(nano)}"`);
    expect(await payers.account(payer.tenant)).toMatchObject({ balance_usd: formatUsd(-nano), held_usd: "0.00" });
    expect(await stand.evener.cli(["ledger", "verify"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("The ledger is sound."),
    });
  });

  it("says what to do when credit is gone, and goes on when it is there", async () => {
    payer = await payers.payer({ credit: "0.000001" });
    const refused = await run();
    expect(refused).toMatchObject({ code: 1, result: { is_error: true } });
    expect(refused.result?.["result"]).toBe(
      "API Error: Request rejected (429) · The credit of this tenant does not cover the request: ask whoever runs this gateway to add credit.",
    );
    expect(retries(refused)).toEqual([]);
    expect(story(await mark.rows())).toEqual(["error: insufficient_credit"]);
    await payers.credit(payer, "5");
    expect(await run()).toMatchObject({ code: 0, result: { is_error: false, result: ANSWER } });
  });

  it.runIf(LINUX).each([
    [800, "80%"],
    [960, "96%"],
  ])("hears that %i of 1,000 are spent, and warns who has signed in to a gateway (newer)", async (spent, used) => {
    await spend(payer, spent);
    await payers.budget({ tenant: payer.tenant }, "month", "1");
    const terminal = await signedIn();
    await say(terminal, "hello-there", "the answer", () => terminal.shown().includes(ANSWER));
    const warning = `You've used ${used} of your usage credits · resets ${resetDay()}, 12am (UTC)`;
    if (WARNS[version]) await waitUntil("the warning", () => terminal.shown().includes(warning));
    await say(terminal, "/usage", "the usage screen", () => /Total duration/.test(terminal.shown()));
    if (WARNS[version]) {
      const dollars = new RegExp(
        `Spend limit [█▌ ]*${used} used \\$0\\.\\d\\d / \\$1\\.00 spent this month · Resets ${resetDay()}`,
      );
      await waitUntil("the dollars", () => dollars.test(terminal.shown()));
    } else {
      expect(terminal.shown()).not.toMatch(/You've used|Spend limit/);
    }
  });

  it.runIf(LINUX)("shows nothing of that to who came with a key: `evener claude`", async () => {
    await spend(payer, 800);
    await payers.budget({ tenant: payer.tenant }, "month", "1");
    const terminal = await launched();
    await say(terminal, "hello-there", "the answer", () => terminal.shown().includes(ANSWER));
    await say(terminal, "/usage", "the usage screen", () => /Total duration/.test(terminal.shown()));
    expect(terminal.shown()).not.toMatch(/You've used|Spend limit/);
  });

  it("takes an answer that the money ends for one cut at its limit, and is told why when it asks for the rest", async () => {
    stand.simulator.setScript([{ answer: { text: "word ".repeat(20_000), delay: 2 } }]);
    payer = await payers.payer();
    await payers.budget({ tenant: payer.tenant }, "month", "1.5");
    const finished = await run(["--model", "dear-model", ...PRINT_EVENTS]);
    expect(finished).toMatchObject({ code: 1, result: { is_error: true, api_error_status: 429 } });
    expect(finished.result?.["result"]).toBe(
      `API Error: Request rejected (429) · What is left of the monthly budget of this tenant (1.50 USD) does not cover the request: wait until ${monthsEnd()} 00:00 UTC, or ask whoever runs this gateway for more.`,
    );
    // What came of the answer is in the session.
    expect(JSON.stringify(finished.events)).toContain("word word word");
    const rows = await mark.rows();
    expect(story(rows)).toEqual(["ok", "error: budget_exceeded"]);
    expect(rows[0]).toMatchObject({ finish_reason: "length", cut_by: "tenant month budget" });
    // What the engine wrote before it heard of the end is the provider's loss.
    expect(rows[0]!.output).toBeLessThanOrEqual(mark.served().generated);
    expect(Number(rows[0]!.cost)).toBeLessThanOrEqual(1.5e9);
    expect(Number(rows[0]!.cost)).toBeGreaterThan(1.3e9);
    expect(rows[1]).toMatchObject({ cost: "0", cut_by: null });
  });

  it("waits while the database is away, and goes on when it is back", async () => {
    payer = await payers.payer({ credit: "5" });
    expect(await run()).toMatchObject({ code: 0 });
    mark = await stand.mark();
    const refusals = (): number => stand.evener.log().split('"store_unavailable"').length;
    const before = refusals();
    await stand.database.cut();
    const going = run();
    try {
      await waitUntil("a refusal", () => refusals() > before, 30_000);
    } finally {
      await stand.database.mend();
    }
    const finished = await going;
    expect(finished).toMatchObject({ code: 0, result: { is_error: false, result: ANSWER } });
    const waits = retries(finished);
    expect(waits[0]).toMatchObject({ error_status: 503, error: "server_error" });
    for (const wait of waits) expect(wait["retry_delay_ms"]).toBeGreaterThanOrEqual(5_000);
    expect(story(await mark.rows())).toEqual(["ok"]);
    await payers.verify();
  });
});
