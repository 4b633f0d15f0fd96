import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Request, requestReader } from "./wire-frames.ts";

/** A message as a client sends it: its type (none for the first), its length, its body. */
function message(type: string, body: string): Buffer {
  const bytes = Buffer.from(`${type}\0\0\0\0${body}`, "latin1");
  bytes.writeUInt32BE(body.length + 4, type.length);
  return bytes;
}

const STARTUP = message("", "\0\x03\0\0user\0postgres\0\0");
const PREPARED = Buffer.concat([
  message("P", "\0SELECT $1\0\0\0"),
  message("B", "\0\0\0\0\0\x01\0\0\0\x01S\0\0"),
  message("E", "\0\0\0\0\0"),
  message("S", ""),
]);
const SIMPLE = message("Q", "SELECT 1\0");
const SESSION = Buffer.concat([STARTUP, PREPARED, SIMPLE, PREPARED, message("X", "")]);
const REQUESTS = ["startup", PREPARED.toString("hex"), SIMPLE.toString("hex"), PREPARED.toString("hex"), "terminate"];

function show(request: Request): string {
  return request.kind === "statement" ? Buffer.from(request.bytes).toString("hex") : request.kind;
}

describe("requestReader", () => {
  it("finds the same requests however the bytes are split", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(SESSION.length), { maxLength: 12 }), (cuts) => {
        const read = requestReader();
        const at = [0, ...cuts.sort((a, b) => a - b), SESSION.length];
        const pieces = at.slice(1).map((end, index) => SESSION.subarray(at[index], end));
        expect(pieces.flatMap((piece) => read(piece)).map(show)).toEqual(REQUESTS);
      }),
    );
  });
});
