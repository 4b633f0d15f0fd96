/** Requests while no engine has ever answered: told so with the reason, soon, and seen in the tenant's usage. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
