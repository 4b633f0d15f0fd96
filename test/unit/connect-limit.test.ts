/** The limit on connecting to an engine, against a port that takes no connection. Without it a call would wait for its first byte. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GatewayError } from "../../src/conversation/errors.ts";
import { DEFAULT_ENGINE_TIMEOUTS, type UpstreamOptions, createUpstream } from "../../src/engine/upstream.ts";
import { type FullBacklog, fullBacklog } from "../support/full-backlog.ts";

let frozen: FullBacklog;
beforeAll(async () => {
  frozen = await fullBacklog();
});
afterAll(() => frozen?.close());

async function failure(options: UpstreamOptions, connectMs: number): Promise<GatewayError> {
  const upstream = createUpstream(options);
  try {
    return await new Promise((resolve, reject) => {
      const unexpected = (): void => reject(new Error("the engine answered"));
      const handlers = { onHead: unexpected, onData: unexpected, onEnd: unexpected, onError: resolve };
      const timeouts = { ...DEFAULT_ENGINE_TIMEOUTS, connectMs };
      upstream.post({ url: frozen.url }, "/v1/chat/completions", "{}", handlers, { requestId: "req_1", timeouts });
    });
  } finally {
    await upstream.close();
  }
}

describe("an engine that takes no connection is unreachable, and soon", () => {
  it("by the limit of the call", async () => {
    expect(await failure({}, 300)).toMatchObject({
      code: "engine_unreachable",
      message: "the engine did not take the connection in 300 ms",
    });
  });

  it("by the limit of all calls, where the call has none", async () => {
    expect(await failure({ connectMs: 300 }, 0)).toMatchObject({
      code: "engine_unreachable",
      message: "the engine did not take the connection in time",
    });
  });

  it("by the limit of all calls, where the call waits for longer", async () => {
    const upstream = createUpstream({ connectMs: 300 });
    await expect(upstream.get({ url: frozen.url }, "/v1/models", { timeoutMs: 60_000 })).rejects.toMatchObject({
      code: "engine_unreachable",
    });
    await upstream.close();
  });
});
