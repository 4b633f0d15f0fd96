import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SseReader } from "./sse-reader.ts";

function read(pieces: string[], limit = 1_000): string[] {
  const seen: string[] = [];
  const reader = new SseReader(
    {
      onEvent: (data, name) => seen.push(name === "" ? `data ${data}` : `${name} ${data}`),
      onJunk: (line) => seen.push(`junk ${line}`),
      onTooLong: () => seen.push("too long"),
    },
    limit,
  );
  for (const piece of pieces) reader.push(piece);
  reader.end();
  return seen;
}

describe("SseReader", () => {
  it.each<[string, string, string[]]>([
    ["events", "data: a\n\ndata: b\n\n", ["data a", "data b"]],
    ["no space after the colon", "data:a\n\n", ["data a"]],
    ["only one space taken off", "data:  a\n\n", ["data  a"]],
    ["several data lines", "data: a\ndata: b\n\n", ["data a\nb"]],
    ["event names", "event: error\ndata: a\n\ndata: b\n\n", ["error a", "data b"]],
    ["comments, ids and retries", ": ping\n\nid: 1\nretry: 5\ndata: a\n\n", ["data a"]],
    ["a byte order mark", "\u00ef\u00bb\u00bfdata: a\n\n", ["data a"]],
    ["CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", ["data a", "data b"]],
    ["bare CR", "data: a\r\rdata: b\r\r", ["data a", "data b"]],
    ["empty data", "data:\n\ndata: \n\n", ["data ", "data "]],
    ["an unfinished event at the end", "data: a\n\ndata: b\n", ["data a", "data b"]],
    ["an unfinished line at the end", "data: a\n\ndata: b", ["data a", "data b"]],
    ["lines that are no field", "<html>\ndata: a\n\n", ["junk <html>", "data a"]],
    ["fields that nobody knows", "error: {}\n\n", ["junk error: {}"]],
    ["a name that only begins like a field", "database\n\n", ["junk database"]],
    ["nothing", "", []],
  ])("reads %s", (_what, stream, expected) => {
    expect(read([stream])).toEqual(expected);
  });

  it("reads the same whatever the pieces", () => {
    const part = fc.constantFrom(
      "data: ",
      "data:",
      "x",
      "{}",
      "\n",
      "\r",
      "\r\n",
      "\n\n",
      ":c",
      "event: e",
      "id",
      "\u00ef\u00bb\u00bf",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), fc.array(fc.nat(60), { maxLength: 12 }), (parts, cuts) => {
        const stream = parts.join("");
        const edges = [0, ...cuts.filter((cut) => cut < stream.length).sort((a, b) => a - b), stream.length];
        const pieces = edges.slice(1).map((edge, i) => stream.slice(edges[i], edge));
        expect(read(pieces)).toEqual(read([stream]));
        expect(read(stream.split(""))).toEqual(read([stream]));
      }),
    );
  });

  it("reads line ends of several kinds in one stream", () => {
    expect(read(["data: a", "\n\r\ndata: b\r\n\r\n"])).toEqual(["data a", "data b"]);
  });

  it.each([
    ["data: a\n\n", true],
    ["data: a\n\nda", false],
    ["data: a\n\ndata: b\n", false],
    ["data: a\n\nevent: e\n", false],
    ["data: a\n\r", false],
  ])("knows behind %j whether an event begins: %s", (stream, between) => {
    const reader = new SseReader({ onEvent() {}, onJunk() {}, onTooLong() {} }, 1_000);
    reader.push(stream);
    expect(reader.between).toBe(between);
  });

  it.each([
    ["a line that never ends", ["data: ", ...Array<string>(30).fill("x")]],
    ["an event of many lines", Array<string>(9).fill("data: xx\n")],
    ["a line that is too long at once", [`data: ${"x".repeat(30)}`]],
  ])("stops at %s", (_what, pieces) => {
    expect(read([...pieces, "\n\ndata: later\n\n"], 20)).toEqual(["too long"]);
  });

  it("stays linear on one long line in small pieces", () => {
    const pieces = Array<string>(200_000).fill("abcdefghij");
    expect(read(["data: ", ...pieces, "\n\n"], 4_000_000)[0]).toHaveLength(2_000_005);
  });
});
