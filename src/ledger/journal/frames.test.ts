import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { frame, readFrames } from "./frames.ts";

const RECORDS = ['{"t":"open","id":"req_1"}', "ä€😀", "x".repeat(300), '{"t":"settle"}'];
const FILE = Buffer.concat(RECORDS.map(frame));

describe("a journal file", () => {
  it("gives back every record", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1, unit: "grapheme" })), (records) => {
        const file = Buffer.concat(records.map(frame));
        expect(readFrames(file)).toEqual({ records, end: file.length });
      }),
    );
  });

  it("torn at any byte, gives the records before that byte and nothing else", () => {
    const ends = RECORDS.map((_, index) => Buffer.concat(RECORDS.slice(0, index + 1).map(frame)).length);
    for (let length = 0; length <= FILE.length; length++) {
      const whole = ends.filter((end) => end <= length).length;
      const torn = readFrames(FILE.subarray(0, length));
      expect(torn.records).toEqual(RECORDS.slice(0, whole));
      expect(torn.end).toBe(ends[whole - 1] ?? 0);
      // The same where the file system had extended the file before it wrote to it.
      const extended = Buffer.concat([FILE.subarray(0, length), Buffer.alloc(40)]);
      expect(readFrames(extended).records.length).toBe(whole);
    }
  });

  it("with any byte wrong, gives the records before it and none that is wrong", () => {
    const ends = RECORDS.map((_, index) => Buffer.concat(RECORDS.slice(0, index + 1).map(frame)).length);
    for (let at = 0; at < FILE.length; at++) {
      const broken = Buffer.from(FILE);
      broken[at] = broken[at]! ^ 0x41;
      expect(readFrames(broken).records).toEqual(RECORDS.slice(0, ends.filter((end) => end <= at).length));
    }
  });
});
