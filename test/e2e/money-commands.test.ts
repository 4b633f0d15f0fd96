/** The money commands of the built product, as a person types them: what they print, what they refuse, and with which exit code. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStore } from "../../src/db/open-store.ts";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { charge, priceFrom } from "../support/charged.ts";
import { type RunningEvener, startEvener } from "../support/evener.ts";
import { succeeding } from "../support/succeeding.ts";

let folder: string;
let simulator: Simulator;
let evener: RunningEvener;
let keyId: string;

const run = (...args: string[]): Promise<string> => succeeding(evener, ...args);

async function refused(...args: string[]): Promise<[number | null, string]> {
  const { code, stdout, stderr } = await evener.cli(args);
  expect([stdout, stderr.split("\n").length]).toEqual(["", 2]);
  return [code, stderr.trim()];
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "evener-money-"));
  simulator = await startSimulator({ model: "test-model" });
  const config = join(folder, "evener.yaml");
  writeFileSync(
    config,
    `engines:\n  - url: ${simulator.url}\n    name: h100\n    cost_per_hour: "2.50"\ninvoices:\n  issuer: Ingot Compute\n  address: [1 Foundry Road]\n`,
  );
  const dataDir = join(folder, "data");
  // History that a gateway has: charged in March, in another process that has ended.
  const first = await startEvener({ engines: [], args: ["--config", config], dataDir });
  const made = await first.cli(["key", "create", "--tenant", "acme", "--name", "ci", "--json"]);
  const key = JSON.parse(made.stdout) as { id: string; tenant_id: string };
  keyId = key.id;
  await first.stop();
  const store = await openStore({ dataDir });
  await priceFrom(store, "qwen3", "2026-01-01", [600_000, 60_000, 600_000, 2_400_000]);
  const of = { tenantId: key.tenant_id, keyId, model: "qwen3", engine: "h100", session: "sess-1" };
  const usage = (inputUncached: number, cacheRead: number) => ({
    inputUncached,
    cacheRead,
    cacheWrite: 0,
    output: 50,
    reasoning: 0,
  });
  await charge(store, [
    { ...of, requestId: "req_1", usage: usage(10_000, 0), reservedAt: new Date("2026-03-01T10:00:00Z") },
    { ...of, requestId: "req_2", usage: usage(500, 10_000), reservedAt: new Date("2026-03-01T10:01:00Z") },
    {
      ...of,
      requestId: "req_3",
      usage: usage(9_000, 1_500),
      reservedAt: new Date("2026-03-01T10:02:00Z"),
      prefixBreak: "message 4 (user): message-edited",
    },
    { ...of, requestId: "req_5", model: "m", session: "sess-2", reservedAt: new Date("2026-04-01T10:00:00Z") },
    // Of two engines in an hour, of which one has a cost.
    ...[of, { ...of, model: "qwen2", engine: "own" }].map((each, index) => ({
      ...each,
      session: "sess-3",
      requestId: `req_made_${index}`,
      usage: usage(999_950, 0),
      reservedAt: new Date("2026-05-01T10:00:00Z"),
    })),
    { ...of, requestId: "req_4", agent: "agent-9", usage: usage(800, 0), reservedAt: new Date("2026-03-01T10:01:30Z") },
  ]);
  await store.close();
  evener = await startEvener({ engines: [], args: ["--config", config], dataDir });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("tenants", () => {
  it("are made on terms and credited", async () => {
    expect(await run("tenant", "create", "pre", "--prepaid")).toContain("Created prepaid tenant pre");
    expect(await run("tenant", "create", "post", "--postpaid", "--credit-limit", "250")).toContain("postpaid");
    expect(await run("tenant", "credit", "pre", "50", "--note", "transfer 7")).toMatch(
      /^Credited pre with USD 50\.00; balance USD 50\.00 \(crd_/,
    );
    expect(await run("tenant", "credit", "pre", "-0.50")).toMatch(
      /^Took USD 0\.50 out of the account of pre; balance USD 49\.50 \(crd_/,
    );
    const once = ["tenant", "credit", "pre", "7", "--once", "transfer-8"] as const;
    for (let time = 0; time < 2; time++) expect(await run(...once)).toContain("with USD 7.00; balance USD 56.50 (");
    expect(await run("tenant", "credit", "pre", "-7")).toContain("balance USD 49.50 (");
    expect(await run("tenant", "terms", "post", "--prepaid")).toContain("post is prepaid now");
    const listed = JSON.parse(await run("tenant", "list", "--json")) as Record<string, string>[];
    expect(listed.find((each) => each["name"] === "pre")).toMatchObject({ terms: "prepaid", balance_usd: "49.50" });
  });

  it("are renamed and archived, and keep what is theirs", async () => {
    await run("tenant", "create", "brief", "--prepaid");
    await run("tenant", "credit", "brief", "3");
    const { key } = JSON.parse(await run("key", "create", "--tenant", "brief", "--json")) as { key: string };
    const asked = (): Promise<Response> => fetch(`${evener.url}/v1/models`, { headers: { "x-api-key": key } });
    expect((await asked()).status).toBe(200);

    expect(await run("tenant", "rename", "brief", "short")).toMatch(/^Tenant brief is short now \(ten_/);
    expect(await refused("tenant", "rename", "short", "pre")).toMatchObject([1, expect.stringContaining("pre")]);
    expect(await refused("tenant", "rename", "brief", "other")).toMatchObject([1, expect.stringContaining("brief")]);
    expect((await asked()).status).toBe(200);

    for (let time = 0; time < 2; time++)
      expect(await run("tenant", "archive", "short")).toMatch(/^Archived tenant short .+ \(USD 3\.00\) stay\.$/m);
    expect((await asked()).status).toBe(401);
    const listed = JSON.parse(await run("tenant", "list", "--json")) as Record<string, unknown>[];
    const short = listed.find((each) => each["name"] === "short");
    expect(short).toMatchObject({ keys: 0, balance_usd: "3.00", archived_at: expect.any(String) });
  });

  it("are refused what makes no sense", async () => {
    expect(await refused("tenant", "create", "x", "--prepaid", "--postpaid")).toMatchObject([
      2,
      expect.stringContaining("exclude each other"),
    ]);
    expect(await refused("tenant", "create", "x", "--prepaid", "--credit-limit", "1")).toMatchObject([
      2,
      expect.any(String),
    ]);
    expect(await refused("tenant", "terms", "pre")).toMatchObject([
      2,
      expect.stringContaining("--prepaid or --postpaid"),
    ]);
    expect(await refused("tenant", "credit", "pre", "1", "--once", "transfer 8")).toMatchObject([
      2,
      expect.stringContaining("without spaces"),
    ]);
    expect(await refused("tenant", "credit", "pre", "a lot")).toMatchObject([
      2,
      'evener: "a lot" is not an amount in USD as in 12.50, below a billion and of at most nine decimals',
    ]);
    expect(await refused("tenant", "credit", "nobody", "1")).toMatchObject([1, expect.stringContaining("nobody")]);
  });
});

describe("prices", () => {
  it("are set, listed and kept", async () => {
    const set = await run("price", "set", "big/model", "--input", "0.60", "--cache-read", "0.06", "--output", "2.4");
    expect(set).toMatch(/costs, in USD a million tokens:/);
    expect(
      await run(
        "price",
        "set",
        "big/model",
        "--input",
        "1",
        "--cache-read",
        "0.1",
        "--output",
        "3",
        "--from",
        "2999-01-01",
      ),
    ).toContain("From 2999-01-01 00:00 UTC");
    expect(await run("price", "list")).toMatch(/big\/model +0\.60 +0\.06 +0\.60 +2\.40/);
    expect(JSON.parse(await run("price", "history", "big/model", "--json"))).toMatchObject([
      { input_usd: "1.00" },
      { input_usd: "0.60" },
    ]);
  });

  it("are said to end where the next one begins that was set before", async () => {
    const model = `later-${Date.now()}`;
    const set = (...args: string[]) => run("price", "set", model, "--cache-read", "0", "--output", "1", ...args);
    await set("--input", "9", "--from", "2999-03-01");
    expect(await set("--input", "7", "--from", "2999-02-01")).toMatch(/Only until 2999-03-01 00:00 UTC[^]* 9\.00 /);
    expect(await set("--input", "5")).toMatch(/Only until 2999-02-01 00:00 UTC[^]* 7\.00 /);
    expect(await set("--input", "8", "--from", "2999-04-01")).not.toContain("Only until");
  });

  it("are refused when they do not fit", async () => {
    const price = ["price", "set", "m", "--cache-read", "0", "--output", "1"];
    expect(await refused(...price, "--input", "0.0000001")).toMatchObject([2, expect.stringContaining("0.0000001")]);
    expect(await refused(...price, "--input", "1", "--from", "2020-01-01")).toMatchObject([
      2,
      expect.stringContaining("past"),
    ]);
    expect(await refused(...price, "--input", "1", "--from", "7d")).toMatchObject([2, expect.any(String)]);
    expect(await refused(...price)).toMatchObject([2, expect.stringContaining("--input")]);
    for (const name of ["m ", " m", " "])
      expect(await refused("price", "set", name, "--cache-read", "0", "--output", "1", "--input", "1")).toMatchObject([
        2,
        expect.stringContaining(`"${name}" is not a model's name`),
      ]);
    expect(await run("price", "history", "nothing")).toBe("There is no price for nothing.\n");
  });
});

it("sets, lists and removes budgets", async () => {
  expect(await run("budget", "set", "--tenant", "acme", "--period", "month", "--amount", "20")).toMatch(
    /^Tenant acme may spend USD 20\.00 a month; USD 0\.00 are spent until \d{4}-\d\d-01 00:00 UTC \(bud_\d+\)\.$/m,
  );
  const made = JSON.parse(await run("budget", "set", "--key", keyId, "--period", "day", "--amount", "5", "--json")) as {
    id: string;
  };
  expect(await run("budget", "list", "--tenant", "acme")).toMatch(/acme +ci \(key_\w+\) +day +5\.00 +0\.00 +0\.00 +0%/);
  expect(await run("budget", "remove", made.id)).toContain("Removed the day budget of Key ci of acme");
  expect(await refused("budget", "remove", made.id)).toMatchObject([1, expect.stringContaining("there is no budget")]);
  expect(await refused("budget", "set", "--period", "day", "--amount", "5")).toMatchObject([
    2,
    expect.stringContaining("whose budget?"),
  ]);
  expect(await refused("budget", "set", "--tenant", "acme", "--period", "year", "--amount", "5")).toMatchObject([
    2,
    expect.any(String),
  ]);
});

describe("usage", () => {
  const march = ["--since", "2026-03-01T10:00Z", "--until", "2026-03-01T11:00Z"];

  it("has what it cost, what the cache saved, and what it cost to make", async () => {
    const table = await run("usage", "--by", "model", ...march);
    expect(table).toMatch(/COST USD +SAVED BY CACHE USD +COST TO MAKE USD +SOLD \/ M USD +MADE \/ M USD/);
    expect(JSON.parse(await run("usage", "--by", "model", ...march, "--json"))).toMatchObject([
      { model: "qwen3", cost_usd: "0.01335", cache_saved_usd: "0.00621", made_usd: "2.50" },
    ]);
  });

  it("totals what a million tokens cost to make over those that have a cost", async () => {
    const table = await run("usage", "--by", "model", "--since", "2026-05-01T10:00Z", "--until", "2026-05-01T11:00Z");
    expect(table).toMatch(/^qwen2 .* – *$/m);
    expect(table).toMatch(/^total .* 2\.50 .* 2\.50 *$/m);
  });

  it("is CSV for spreadsheets", async () => {
    const [head = "", ...lines] = (await run("usage", "--by", "request", ...march, "--csv")).split("\r\n");
    expect(head.split(",")).toEqual(expect.arrayContaining(["request_id", "cost_usd", "duration_ms"]));
    expect(lines).toHaveLength(5);
    expect((await run("usage", "--by", "session", ...march, "--csv")).split("\r\n")[1]).toContain("acme,sess-1,4,");
    const byKey = (await run("usage", "--by", "key", ...march, "--csv")).split("\r\n");
    expect([byKey[0]?.slice(0, 24), byKey[1]]).toEqual([
      "tenant,key,key_id,reques",
      expect.stringContaining(`acme,ci,${keyId},4,`),
    ]);
    expect(await run("usage", "--by", "key", ...march)).toMatch(
      new RegExp(`^TENANT +KEY +KEY ID .*\n.*\nacme +ci +${keyId} +4 `),
    );
  });
});

it("shows a session, its subagents apart and where its prefix broke", async () => {
  const text = await run("sessions", "show", "sess-1");
  expect(text).toContain(
    "Session sess-1 of acme: 4 requests, 36.1% of the prompts from cache, 1 prefix break, USD 0.01335",
  );
  expect(text).toMatch(
    /Main loop, qwen3\n[\s\S]*95\.2% +█{10}[\s\S]*broken: message 4 \(user\): message-edited[\s\S]*Subagent agent-9, qwen3/,
  );
  const { tenant_id } = JSON.parse(await run("sessions", "show", "sess-1", "--json")) as { tenant_id: string };
  expect(tenant_id).toMatch(/^ten_/);
  for (const tenant of ["acme", tenant_id])
    expect(await run("sessions", "show", "sess-1", "--tenant", tenant)).toBe(text);
  expect(await refused("sessions", "show", "sess-1", "--tenant", "local")).toMatchObject([
    1,
    expect.stringContaining("no request of a session sess-1"),
  ]);
  expect(await refused("sessions", "show", "sess-1", "--tenant", "nobody")).toMatchObject([
    1,
    expect.stringContaining("there is no tenant named nobody"),
  ]);
  expect(await refused("sessions", "show", "nothing")).toMatchObject([1, expect.stringContaining("nothing")]);
});

describe("invoice", () => {
  const of = ["invoice", "--tenant", "acme", "--month", "2026-03"];

  it("is a table, JSON, CSV and a page", async () => {
    const table = await run(...of);
    expect(table).toMatch(/qwen3 +Input +20,300 +0\.60 +0\.01218/);
    expect(table).toMatch(
      /Subtotal +0\.01335\nRounding to cents +-0\.00335\n.*\nTotal +0\.01\nThe ledger charged USD 0\.01335\./,
    );
    expect(JSON.parse(await run(...of, "--json"))).toMatchObject({
      status: "final",
      total_usd: "0.01",
      ledger_usd: "0.01335",
    });
    expect(await run(...of, "--csv")).toContain(",total,,,0.01,final,,\r\n");
    const page = await run(...of, "--html");
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).toContain("Ingot Compute");
  });

  it("shows what was paid in, and that what is used is taken from it", async () => {
    await run("tenant", "create", "saver", "--prepaid");
    await run("tenant", "credit", "saver", "12.5", "--note", "transfer 7");
    const month = new Date().toISOString().slice(0, 7);
    expect(await run("invoice", "--tenant", "saver", "--month", month)).toMatch(
      /preliminary: 0 requests\nNothing was charged\.\n\nPayments and credits\nDATE +NOTE +AMOUNT USD\n.*\n\d{4}-\d\d-\d\d +transfer 7 +12\.50\n\nACCOUNT +AMOUNT USD\n.*\nBalance before +0\.00\nPaid in +12\.50\nCharged +0\.00\n.*\nBalance after +12\.50\n$/,
    );
    await run("tenant", "terms", "acme", "--prepaid");
    expect(await run("invoice", "--tenant", "acme", "--month", "2026-03")).toContain(
      "The ledger charged USD 0.01335.\n",
    );
  });

  it("counts one request as one", async () => {
    expect(await run("invoice", "--tenant", "acme", "--month", "2026-04")).toMatch(
      /: 1 request\nNothing was charged\. 1 request was not charged\.\n$/,
    );
  });

  it("is refused without sense", async () => {
    expect(await refused(...of, "--csv", "--html")).toMatchObject([2, expect.stringContaining("exclude")]);
    expect(await refused("invoice", "--tenant", "acme", "--month", "3/2026")).toMatchObject([
      2,
      expect.stringContaining("2026-11"),
    ]);
    expect(await refused("invoice", "--tenant", "nobody", "--month", "2026-03")).toMatchObject([1, expect.any(String)]);
  });
});

describe("ledger", () => {
  it("is verified, rebuilt and exported", async () => {
    expect(await run("ledger", "verify")).toMatch(
      /^ok {4}every transaction gives to one account what it takes from another$[\s\S]*The ledger is sound\./m,
    );
    expect(await run("ledger", "rebuild")).toMatch(/^Rebuilt 3 days; 0 sums were not right\.$/m);
    expect((await run("ledger", "export", "--focus", "--month", "2026-03")).split("\r\n")).toHaveLength(1 + 3 + 1 + 1);
    expect(await refused("ledger", "export", "--month", "2026-03")).toMatchObject([
      2,
      expect.stringContaining("--focus"),
    ]);
  });

  it("says which rule does not hold, with the rows, and exits with 1", async () => {
    await evener.stop();
    const store = await openStore({ dataDir: evener.dataDir });
    await sql`UPDATE account SET balance = balance + 1 WHERE tenant_id = (SELECT id FROM tenant WHERE name = 'pre')`.execute(
      store.db,
    );
    await sql`INSERT INTO ledger_transfer (transaction_id, kind, from_account, to_account, amount) VALUES ('x', 'credit', 2, 1, 5)`.execute(
      store.db,
    );
    await store.close();
    evener = await startEvener({ engines: [simulator.url], dataDir: evener.dataDir });
    const { code, stdout, stderr } = await evener.cli(["ledger", "verify"]);
    expect([code, stderr.trim()]).toMatchObject([
      1,
      expect.stringMatching(/^evener: 2 of \d+ rules of the ledger do not hold; see the rows above$/),
    ]);
    expect(stdout).toMatch(/^FAIL {2}usage and adjustments are between .*\n {8}.*transaction_id=x/m);
    expect(stdout).toMatch(/^FAIL {2}an account's balance is the sum of its entries\n {8}.*tenant_id=ten_/m);
  });
});

it("makes admin keys that may only read, which commands can use", async () => {
  const made = JSON.parse(await run("admin-key", "create", "--read", "--name", "dashboard", "--json")) as {
    id: string;
    key: string;
  };
  const env = { EVENER_URL: evener.url, EVENER_ADMIN_KEY: made.key };
  const list = await evener.cli(["tenant", "list"], { env: { ...evener.env, ...env } });
  expect([list.code, list.stderr]).toEqual([0, ""]);
  const create = await evener.cli(["tenant", "create", "x"], { env: { ...evener.env, ...env } });
  expect([create.code, create.stderr]).toMatchObject([1, expect.stringContaining("may only read")]);
  expect(await run("admin-key", "list")).toMatch(/dashboard +ev-admin-\S+… +read +active/);
  await run("admin-key", "revoke", made.id);
  expect((await evener.cli(["tenant", "list"], { env: { ...evener.env, ...env } })).code).toBe(1);
  expect(await refused("admin-key", "create")).toMatchObject([2, expect.stringContaining("--read or --write")]);
});
