import { describe, expect, it } from "vitest";
import type { Finding } from "../doctor/finding.ts";
import { type Cell, THINKING } from "../doctor/tool-matrix.ts";
import { matrixHead, matrixRows, reportHead, reportRows } from "./doctor-report.ts";

const FINDING: Finding = {
  id: "prefix_caching",
  result: "bad",
  found: "off: every turn of a conversation is computed from its beginning",
  advice: "start it with --enable-prefix-caching",
};
const lines = (text: string) => text.split("\n");

describe("the doctor's rows", () => {
  it("are cut by words into lines that fit", () => {
    for (const room of [80, 100, 140, 200]) {
      const text = reportHead(room) + reportRows([FINDING], room);
      // In the narrowest a flag is longer than its column, and stays whole to be copied.
      if (room > 80) expect(Math.max(...lines(text).map((line) => line.length))).toBeLessThanOrEqual(room);
      const words = text.replaceAll(/\s+/g, " ");
      for (const word of `${FINDING.found} ${FINDING.advice}`.split(" ")) expect(words).toContain(word);
    }
    expect(lines(reportRows([FINDING], 120)).slice(0, 2)).toEqual([
      "prefix caching                  bad      off: every turn of a conversation is        start it with",
      "                                         computed from its beginning                 --enable-prefix-caching",
    ]);
  });

  it("cut a word that is longer than its column", () => {
    const text = reportRows([{ ...FINDING, found: "y".repeat(200) }], 120);
    expect(Math.max(...lines(text).map((line) => line.length))).toBeLessThanOrEqual(120);
    expect(text.match(/y/g)).toHaveLength(200);
  });

  it("show nothing that could move the cursor", () => {
    expect(reportRows([{ ...FINDING, found: "a\u001B[2Jb" }], 120)).not.toContain("\u001B[2J");
  });
});

describe("the matrix", () => {
  const cells: Cell[] = THINKING.flatMap((thinking) =>
    [false, true].map((streamed) => ({
      choice: "named" as const,
      thinking,
      streamed,
      ...(thinking === "off"
        ? { outcome: "reasoning only" as const, result: "bad" as const, found: "" }
        : { outcome: "call" as const, result: "ok" as const, found: "" }),
    })),
  );

  it("has rows for each way to ask, and a column for thinking", () => {
    expect(lines(matrixHead() + matrixRows(cells))).toEqual([
      "",
      "TOOL CALLS          THINKING DEFAULT  THINKING OFF    THINKING ON",
      "──────────────────  ────────────────  ──────────────  ──────────────",
      "named, whole        call              reasoning only  call",
      "named, streamed     call              reasoning only  call",
      "",
    ]);
  });
});
