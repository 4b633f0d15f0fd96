/** How commands fail: one line that says what is wrong and what to do, and an exit code that scripts can rely on. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/start.ts";
import { cleanEnvironment, EVENER, type RunningEvener, runEvener, startEvener } from "../support/evener.ts";
import { send } from "../support/http.ts";
import { runProcess } from "../support/run-process.ts";
import { waitUntil } from "../support/wait-until.ts";

let simulator: Simulator;
let evener: RunningEvener;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "evener-cli-"));
  simulator = await startSimulator({ model: "test-model" });
  evener = await startEvener({ engines: [simulator.url], fromNothing: true });
});
afterAll(async () => {
  await evener?.stop();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

const run = (args: string[], env: Record<string, string> = {}) =>
  runEvener(args, { cwd: folder, env: { ...cleanEnvironment(folder), EVENER_DATA: join(folder, "data"), ...env } });

describe("refuses in one line", () => {
  type Refusal = { what: string; args: () => string[]; env?: Record<string, string>; code: 1 | 2; message: RegExp };
  const up = (...args: string[]) => ["up", "--engine", simulator.url, "--port", "0", ...args];
  const cases: Refusal[] = [
    {
      what: "a port that is in use",
      args: () => up("--port", new URL(simulator.url).port),
      code: 1,
      message: /port \d+ .*in use; .*--port/,
    },
    {
      what: "a data directory that another gateway has",
      args: () => up("--data", evener.dataDir),
      code: 1,
      message: /data .*(in use|open|another)/,
    },
    {
      what: "a data directory that cannot be made, before it looks for the database",
      args: () => up("--data", join(EVENER, "below"), "--database-url", "postgres://127.0.0.1:1/x"),
      env: { EVENER_SECRET: "x".repeat(40), EVENER_ADMIN_KEY: "y".repeat(40) },
      code: 1,
      message: /cannot use the data directory .*--data/,
    },
    {
      what: "an admin key that is too short, by the name of its variable",
      args: () => up(),
      env: { EVENER_ADMIN_KEY: "short" },
      code: 1,
      message: /the admin key from EVENER_ADMIN_KEY is shorter than 24 characters/,
    },
    {
      what: "a database that does not answer, without its password",
      args: () => up("--database-url", "postgres://u:secret-word@127.0.0.1:1/x"),
      code: 1,
      message: /^(?!.*secret-word).*127\.0\.0\.1:1/,
    },
    {
      what: "commands without a gateway",
      args: () => ["usage"],
      code: 1,
      message: /no gateway is running .*evener up/,
    },
    { what: "serve without engines", args: () => ["serve"], code: 2, message: /engines/ },
    {
      what: "a configuration file that is not there",
      args: () => ["up", "--config", "nothing.yaml"],
      code: 2,
      message: /nothing\.yaml/,
    },
    {
      what: "a configuration with an unknown key, by its place",
      args: () => {
        writeFileSync(join(folder, "typo.yaml"), "engines:\n  - url: http://127.0.0.1:1\n    modle: x\n");
        return ["up", "--config", "typo.yaml"];
      },
      code: 2,
      message: /typo\.yaml.*modle/,
    },
    { what: "an engine that is no URL", args: () => ["up", "--engine", "localhost"], code: 2, message: /http/ },
    { what: "a port that is no number", args: () => ["up", "--port", "many"], code: 2, message: /port/ },
    { what: "an unknown option", args: () => ["up", "--warp"], code: 2, message: /--warp/ },
    { what: "an unknown command", args: () => ["fly"], code: 2, message: /'fly'; see: evener --help\n$/ },
    {
      what: "a name that is lacking",
      args: () => ["tenant", "create"],
      code: 2,
      message: /see: evener tenant create --help\n$/,
    },
    {
      what: "a span that ends before it begins",
      args: () => ["usage", "--since", "1d", "--until", "2d"],
      code: 2,
      message: /--until is not after --since; /,
    },
    { what: "key create without a tenant", args: () => ["key", "create"], code: 2, message: /--tenant/ },
  ];

  it.each(cases)("$what", async ({ args, env, code, message }) => {
    const result = await run(args(), env);
    expect(result.code).toBe(code);
    expect(result.stderr).toMatch(/^evener: [^\n]+\n$/);
    expect(result.stderr).toMatch(message);
    // What a gateway logged before it found out is JSON; nothing else may be there.
    expect(result.stdout).toMatch(/^(\{.*\}\n)*$/);
  });

  it("a port that is in use before it makes a database", async () => {
    const data = join(folder, "never");
    const { code } = await run(up("--port", new URL(simulator.url).port, "--data", data));
    expect([code, existsSync(data)]).toEqual([1, false]);
  });

  it("and does not disturb the gateway that was there first", async () => {
    expect((await evener.cli(["usage", "--json"])).code).toBe(0);
  });
});

it("tells its version and its help on stdout", async () => {
  expect(await run(["--version"])).toMatchObject({
    code: 0,
    stderr: "",
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  });
  const help = await run(["--help"]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  for (const command of "up serve claude doctor tenant key price budget usage sessions invoice ledger admin-key simulate".split(
    " ",
  ))
    expect(help.stdout).toContain(`  ${command} `);
});

it.each([["usage", "--help"], ["--version"], ["tenant", "list", "--json"]])(
  "ends quietly when nobody reads what %s says",
  async (...args) => {
    const line = `{ "$@"; echo "code $?" >&2; } | true`;
    const options = { cwd: folder, env: evener.env };
    const done = await runProcess("sh", ["-c", line, "sh", process.execPath, EVENER, ...args], options);
    expect(done).toMatchObject({ code: 0, stdout: "", stderr: "code 0\n" });
  },
);

describe.runIf(existsSync("/dev/full"))("on a full disk", () => {
  const onFullDisk = (...args: string[]) =>
    runProcess("sh", ["-c", 'exec "$@" > /dev/full', "sh", process.execPath, EVENER, ...args], {
      cwd: folder,
      env: evener.env,
    });

  it.each([["usage", "--help"], ["--version"], ["tenant", "list", "--json"]])(
    "what %s says is missed in one line",
    async (...args) => {
      const done = await onFullDisk(...args);
      expect(done.code).toBe(1);
      expect(done.stderr).toMatch(/^evener: cannot write the output: ENOSPC[^\n]*\n$/);
    },
  );
});

it.runIf(existsSync("/dev/full"))(
  "a gateway whose log's disk is full goes on answering, and ends when it is told to",
  async () => {
    const data = mkdtempSync(join(tmpdir(), "evener-full-"));
    const child = spawn(
      "sh",
      ["-c", 'exec "$@" > /dev/full', "sh", process.execPath, EVENER, "up", "--engine", simulator.url, "--port", "0"],
      {
        env: { ...cleanEnvironment(folder), EVENER_DATA: data },
        stdio: "ignore",
      },
    );
    const ended = once(child, "exit");
    try {
      await waitUntil("the gateway to be up", () => existsSync(join(data, "gateway.json")));
      const { url } = JSON.parse(readFileSync(join(data, "gateway.json"), "utf8")) as { url: string };
      const key = readFileSync(join(data, "client-key"), "utf8").trim();
      for (let n = 0; n < 3; n++) {
        const body = JSON.stringify({ model: "test-model", messages: [{ role: "user", content: `Hello ${n}.` }] });
        const answer = await fetch(`${url}/v1/chat/completions`, {
          method: "POST",
          body,
          headers: { authorization: `Bearer ${key}` },
        });
        expect(answer.status).toBe(200);
        await answer.text();
        // Longer than the log waits for more to write.
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    } finally {
      child.kill("SIGTERM");
    }
    expect((await ended)[1]).toBeNull();
    rmSync(data, { recursive: true, force: true });
  },
);

describe("loads no more than a command needs:", () => {
  /** Writes to stderr which packages the process has loaded when it ends. */
  const witness = `data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from "node:module";
    const packages = new Set();
    registerHooks({ load(url, context, next) {
      const [, name] = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url) ?? [];
      if (name !== undefined) packages.add(name);
      return next(url, context);
    } });
    process.on("exit", () => process.stderr.write("\\nloaded " + [...packages].sort().join(" ")));`)}`;

  it.each([
    [["--version"], "commander"],
    [["tenant", "list"], "commander zod"],
    [["usage", "--json"], "commander zod"],
    [["key", "create", "--tenant", "light"], "commander zod"],
    [["claude", "--print-env"], "commander zod"],
    [["up", "--help"], "commander yaml zod"],
    [["serve", "--help"], "commander yaml zod"],
    [["--help"], "commander yaml zod"],
  ])("%j", async (args, packages) => {
    const options = { cwd: folder, env: evener.env };
    const done = await runProcess(process.execPath, ["--import", witness, EVENER, ...args], options);
    expect(done.code).toBe(0);
    expect(done.stderr).toBe(`\nloaded ${packages}`);
  });
});

it("says where it is, which models it has and how to start a client", () => {
  expect(evener.log()).toContain(evener.url);
  expect(evener.log()).toMatch(/test-model\s+131[,.]?072/);
  expect(evener.log()).toContain("evener claude");
  expect(evener.log()).not.toContain("\n\n\n");
  expect(evener.log()).toContain(evener.dataDir);
});

it("keeps its keys to the owner of the data directory", () => {
  for (const name of ["gateway.json", "client-key", "admin-key"]) {
    expect(statSync(join(evener.dataDir, name)).mode & 0o077).toBe(0);
  }
});

it("starts without a key for clients where their tenant was archived, and says so", async () => {
  const dataDir = join(folder, "archived");
  const first = await startEvener({ engines: [simulator.url], dataDir });
  const tenants = JSON.parse((await first.cli(["tenant", "list", "--json"])).stdout) as { id: string; name: string }[];
  const local = tenants.find(({ name }) => name === "local");
  const headers = { "x-api-key": first.adminKey };
  const archive = `${first.url}/v1/organizations/workspaces/${local?.id}/archive`;
  expect((await send(archive, { headers })).status).toBe(200);
  await first.stop();

  const second = await startEvener({ engines: [simulator.url], dataDir });
  try {
    expect(second.key).toBeUndefined();
    await waitUntil("the banner", () => second.log().includes("is archived"));
    expect(second.log()).toMatch(/^Clients .*local is archived.* evener key create --tenant NAME$/m);
    expect(second.log()).not.toContain("client-key");
    expect(await second.cli(["claude", "--print-env"])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^evener: [^\n]*leaves no key for clients[^\n]*\n$/),
    });
  } finally {
    await second.stop();
  }
});

it("makes, lists and revokes keys; a revoked key is refused at once", async () => {
  const made = await evener.cli(["key", "create", "--tenant", "acme", "--name", "laptop", "--json"]);
  expect(made.code).toBe(0);
  const { id, key, tenant } = JSON.parse(made.stdout) as { id: string; key: string; tenant: string };
  expect(tenant).toBe("acme");
  const models = () => send(`${evener.url}/v1/models`, { method: "GET", headers: { "x-api-key": key } });
  expect((await models()).status).toBe(200);
  expect((await evener.cli(["key", "list", "--tenant", "acme"])).stdout).not.toContain(key);
  expect((await evener.cli(["key", "revoke", id])).code).toBe(0);
  expect((await models()).status).toBe(401);
  expect(JSON.parse((await evener.cli(["tenant", "list", "--json"])).stdout)).toMatchObject(
    expect.arrayContaining([expect.objectContaining({ name: "acme" })]),
  );
});

it("stops on SIGTERM with exit code 0, lets a running answer end, and leaves no gateway file", async () => {
  const second = await startEvener({ engines: [simulator.url] });
  simulator.next({ text: "one two three four five", delay: 60 });
  const answer = send(`${second.url}/v1/chat/completions`, {
    headers: { authorization: `Bearer ${second.key}` },
    body: { model: "test-model", messages: [{ role: "user", content: "hi" }] },
  });
  const busy = Date.now() + 10_000;
  while (simulator.running === 0 && Date.now() < busy) await new Promise((resolve) => setTimeout(resolve, 10));
  process.kill(second.pid, "SIGTERM");
  expect((await answer).status).toBe(200);
  await second.stop();
  expect(() => statSync(join(second.dataDir, "gateway.json"))).toThrow(/ENOENT/);
});

it("answers health checks without a key, and tells when it is not ready", async () => {
  const get = async (path: string) => (await send(evener.url + path, { method: "GET" })).status;
  expect(await get("/health")).toBe(200);
  expect(await get("/ready")).toBe(200);
  expect((await send(evener.url, { method: "HEAD" })).status).toBe(200);
  const metrics = await send(`${evener.url}/metrics`, { method: "GET" });
  expect(metrics.text).toMatch(/^# (HELP|TYPE) /m);
});
