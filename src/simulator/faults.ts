/** Scripted faults: what each does to an answer that is being given. */
import { type EventStream, type Exchange, send, sendTorn } from "./http.ts";
import type { Live } from "./live.ts";
import { ENGINE_DEAD_BODY, scriptedErrorBody } from "./refusal.ts";
import type { Fault } from "./script.ts";

/** An answer in progress. */
export type Answering = {
  exchange: Exchange;
  live: Live;
  /** Absent before the head, and for answers that do not stream. */
  stream: EventStream | undefined;
  /** The whole answer's body, for faults that spoil it. */
  completion: () => string;
  /** A chunk with a delta of the given JSON text (latin1 bytes). */
  chunk: (delta: string) => string;
  /** Ends the engine: its core, or its process with all connections. */
  kill: (process: boolean) => void;
};

const JSON_TYPE = "application/json";
const GARBAGE = [
  "data: {not json",
  "data: ",
  ": a comment",
  "event: surprise",
  "no colon at all",
  'data: "a string"',
  "data: []",
];

/** True when the answer goes on. Where it does not, all is said, or the client has left. */
export async function applyFault(fault: Fault, answering: Answering): Promise<boolean> {
  const { live, stream } = answering;
  if (fault.kind === "hang" || fault.kind === "silence" || fault.kind === "die") {
    await stream?.flush(live);
    if (fault.kind === "die") answering.kill(fault.process === true);
    if (fault.kind === "hang") await live.wait(() => () => {});
    return fault.kind === "silence" ? live.sleep(fault.ms) : false;
  }
  if (!stream) {
    spoilWhole(fault, answering);
    return false;
  }
  return spoilStream(fault, stream, answering);
}

type Spoiling = Exclude<Fault, { kind: "hang" | "silence" | "die" }>;

async function spoilStream(fault: Spoiling, stream: EventStream, answering: Answering): Promise<boolean> {
  const { live, exchange } = answering;
  switch (fault.kind) {
    case "cut":
      if (fault.how === "clean") {
        stream.end();
        return false;
      }
      await stream.flush(live);
      // A reset throws away what the client has not read yet: give it time to.
      await live.sleep(5);
      tear(exchange, fault.how ?? "reset");
      return false;
    case "error":
      stream.add(`data: ${latin1(fault.error === undefined ? ENGINE_DEAD_BODY : JSON.stringify(fault.error))}\n\n`);
      if (fault.done !== false) stream.add("data: [DONE]\n\n");
      stream.end();
      return false;
    case "garbage":
      for (const line of fault.lines ?? GARBAGE) stream.add(`${latin1(line)}\n\n`);
      return true;
    case "huge-line":
      stream.add(answering.chunk(`{"content":"${"x".repeat(fault.bytes)}"}`));
      return stream.flush(live);
    case "broken-utf8":
      stream.add(answering.chunk('{"content":"\xff\xc3("}'));
      return true;
    default:
      // The head has gone out; an HTTP error can no longer be.
      throw new Error(`the fault "${fault.kind}" has no place in a stream`);
  }
}

function spoilWhole(fault: Spoiling, { exchange, completion }: Answering): void {
  switch (fault.kind) {
    case "http": {
      const body = fault.body ?? scriptedErrorBody(fault.status);
      send(exchange, fault.status, typeof body === "string" ? body : JSON.stringify(body), JSON_TYPE, fault.headers);
      break;
    }
    case "cut":
      if (fault.after === "start" || fault.how === "reset") tear(exchange, fault.how ?? "reset");
      else if (fault.how === "clean") send(exchange, 200, half(completion()), JSON_TYPE);
      else sendTorn(exchange, completion(), () => tear(exchange, fault.how ?? "reset"));
      break;
    case "error":
      send(exchange, 500, fault.error === undefined ? ENGINE_DEAD_BODY : JSON.stringify(fault.error), JSON_TYPE);
      break;
    case "garbage":
      send(exchange, 200, (fault.lines ?? GARBAGE).join("\n"), JSON_TYPE);
      break;
    case "huge-line":
      send(exchange, 200, " ".repeat(fault.bytes) + completion(), JSON_TYPE);
      break;
    case "broken-utf8": {
      const body = latin1(completion()).replace('"content":"', '"content":"\xff');
      send(exchange, 200, Buffer.from(body, "latin1"), JSON_TYPE);
      break;
    }
  }
}

/** `close` ends the connection in order, but inside the chunked body. */
function tear({ res, req }: Exchange, how: "reset" | "close" | "clean"): void {
  if (how === "reset") req.socket.resetAndDestroy();
  else res.destroy();
}

function latin1(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function half(text: string): string {
  return text.slice(0, Math.floor(text.length / 2));
}
