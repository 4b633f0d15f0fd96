/** Requests while an engine has never answered, the only one or one of several: told so with the reason, soon, and seen in usage. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startSimulator, type Simulator } from "../../src/simulator/start.ts";
import { type FullBacklog, fullBacklog } from "../support/full-backlog.ts";
import type { RunningEvener } from "../support/evener.ts";
import { usageRows } from "../support/usage.ts";
import { WIRES, ask, post, request, startWithConfig } from "../support/wire-gateway.ts";

let frozen: FullBacklog;
let evener: RunningEvener;

beforeAll(async () => {
  frozen = await fullBacklog();
  evener = await startWithConfig(frozen.url, { timeouts: { connect_ms: 300 } });
});
afterAll(async () => {
  await evener?.stop();
  await frozen?.close();
});

const REASON = "the engine did not take the connection in time";

describe("an engine whose host takes no connection", () => {
  it("is given up after connect_ms, not after the look's own limit", async () => {
    const { status, text } = await request(evener, "/ready", { method: "GET" });
    expect([status, JSON.parse(text)]).toEqual([
      503,
      {
        ready: false,
        store: true,
        draining: false,
        engines: [{ name: expect.any(String), up: false, problem: REASON }],
      },
    ]);
  });

  it.each(WIRES)("%s: requests are told why and when to come back, and leave a row each", async (wire) => {
    const before = (await usageRows(evener)).length;
    for (const stream of [true, false]) {
      const answer = await post(evener, wire, ask({ model: "claude-sonnet-4-6", stream }));
      expect([answer.status, answer.headers["retry-after"]]).toEqual([wire === "anthropic" ? 529 : 503, "5"]);
      expect(answer.text).toContain(REASON);
      const id = answer.headers["request-id"];
      const own = async () => (await usageRows(evener)).find((row) => row.request_id === id);
      await expect.poll(own, { timeout: 10_000 }).toMatchObject({
        tenant: "local",
        model: "claude-sonnet-4-6",
        outcome: "error",
        input_uncached: 0,
        cache_read: 0,
        cache_write: 0,
        output: 0,
        counted_by: "gateway",
        first_token_ms: null,
      });
    }
    expect((await usageRows(evener)).length).toBe(before + 2);
  });

  it("leaves no row of who is not known", async () => {
    const before = (await usageRows(evener)).length;
    const answer = await post(evener, "anthropic", ask(), { authorization: "Bearer nobody" });
    expect(answer.status).toBe(401);
    expect((await usageRows(evener)).length).toBe(before);
  });
});

describe("an engine that has not answered since the gateway started, beside one that has", () => {
  let small: Simulator;
  let big: Simulator;
  let gateway: RunningEvener;

  beforeAll(async () => {
    small = await startSimulator({ model: "small" });
    big = await startSimulator({ model: "big" });
    await big.die("process");
    gateway = await startWithConfig([small.url, big.url], {
      families: { haiku: "small", default: "big" },
      timeouts: { probe_ms: 200 },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await small?.close();
    await big?.close();
  });

  const asked = async (wire: (typeof WIRES)[number], model: string) => {
    const { status, headers, text } = await post(gateway, wire, ask({ model }));
    const served = headers["x-evener-model"];
    return status === 200 ? served : [status, headers["retry-after"], text.includes("not all have answered yet")];
  };

  it.each(WIRES)("%s: what it may serve is worth asking again, and nothing else answers in its place", async (wire) => {
    const later = [wire === "anthropic" ? 529 : 503, "5", true];
    expect(await asked(wire, "big")).toEqual(later);
    expect(await asked(wire, "claude-opus-4-8")).toEqual(later);
    expect(await asked(wire, "small")).toBe("small");
    expect(await asked(wire, "claude-haiku-4-5")).toBe("small");
  });

  it("is asked as soon as it answers, and then nobody waits for what is not there", async () => {
    await big.revive();
    await expect.poll(() => asked("anthropic", "big"), { timeout: 10_000 }).toBe("big");
    expect(await asked("anthropic", "claude-opus-4-8")).toBe("big");
    expect(await asked("anthropic", "neither")).toEqual([404, undefined, false]);
  });
});
