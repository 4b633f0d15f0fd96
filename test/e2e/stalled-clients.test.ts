/** Clients that stop reading and keep their connection, as a stopped agent or a sleeping machine does: they are let go, whatever they were sent. */
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { usageRowsNow } from "../support/usage.ts";
import { waitUntil } from "../support/wait-until.ts";
import { DONE, finish, role, say, usage } from "../support/wire-chunks.ts";
import { type Step, type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import { ask, request, startWithConfig } from "../support/wire-gateway.ts";

let engine: WireEngine;
let evener: RunningEvener;
const sockets: Socket[] = [];

beforeAll(async () => {
  engine = await startWireEngine();
  evener = await startWithConfig(engine.url, { timeouts: { client_ms: 1_000 } });
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  engine.drop();
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});

/** More than the system takes on a connection's way. */
const LONG = Array.from({ length: 600 }, () => say("x".repeat(32_000)));

/** Sends a request, and reads nothing of what comes. */
async function stalled(session: string, stream: boolean, of = evener): Promise<Socket> {
  const { port } = new URL(of.url);
  const socket = connect(Number(port), "127.0.0.1");
  sockets.push(socket.pause());
  socket.on("error", () => {});
  await once(socket, "connect");
  const body = JSON.stringify(ask({ stream }));
  socket.write(
    `POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${of.key}\r\n` +
      `x-claude-code-session-id: ${session}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  return socket;
}

const rowOf = async (session: string, of = evener) => (await usageRowsNow(of)).find((row) => row.session === session);

async function inFlight(): Promise<number> {
  const { text } = await request(evener, "/metrics", { method: "GET" });
  return Number(/^evener_in_flight_requests (\d+)$/m.exec(text)?.[1]);
}

it.each<[what: string, steps: Step[], stream: boolean, row: object]>([
  ["a running stream, which holds its engine", [role, ...LONG, "hang"], true, { outcome: "client_gone" }],
  ["a finished stream", [role, ...LONG.slice(0, 200), finish(), DONE], true, {}],
  ["a stream that broke", [role, ...LONG.slice(0, 200), "reset"], true, {}],
  ["a whole answer", [role, ...LONG, finish(), DONE], false, { outcome: "ok" }],
])("lets a client go that takes nothing more of %s", async (what, steps, stream, row) => {
  engine.next({ steps });
  const session = what.replaceAll(/\W+/g, "-");
  await stalled(session, stream);
  await waitUntil("the row", async () => (await rowOf(session)) !== undefined);
  expect(await rowOf(session)).toMatchObject(row);
  // Nothing is left of it: a stop would wait for what is.
  await waitUntil("the end of the request", async () => (await inFlight()) === 0);
});

it.each([true, false])("keeps a client that is only slow (streamed: %s)", async (stream) => {
  engine.next({ steps: [role, ...LONG, finish(), usage(40, 5), DONE] });
  const session = `slow-${stream}`;
  const socket = await stalled(session, stream);
  let bytes = 0;
  let tail = "";
  const end = stream ? "message_stop" : "}}";
  socket.on("data", (part: Buffer) => {
    bytes += part.length;
    tail = part.toString("latin1").slice(-200);
    socket.pause();
    // In all several times as long as nothing may be taken.
    setTimeout(() => socket.resume(), 10);
  });
  socket.resume();
  await waitUntil("the answer's end", () => tail.includes(end) || socket.destroyed, 50_000);
  expect(bytes).toBeGreaterThan(19_000_000);
  expect(await rowOf(session)).toMatchObject({ outcome: "ok" });
});

it("does not blame the engine for a time limit that passes while a client holds it back", async () => {
  const brief = await startWithConfig(engine.url, { timeouts: { total_ms: 1_500 } });
  try {
    engine.next({ steps: [role, ...LONG, "hang"] });
    const socket = await stalled("held", true, brief);
    await waitUntil("the row", async () => (await rowOf("held", brief)) !== undefined);
    expect(await rowOf("held", brief)).toMatchObject({ outcome: "client_gone", error_code: "engine_timeout" });
    socket.destroy();
  } finally {
    await brief.stop();
  }
});
