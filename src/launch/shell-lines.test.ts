import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shellLines } from "./shell-lines.ts";

describe("shellLines", () => {
  it("exports and unsets", () => {
    expect(shellLines({ A: "http://127.0.0.1:4400", B: "it's" }, ["C", "D"])).toBe(
      "export A=http://127.0.0.1:4400\nexport B='it'\\''s'\nunset C D\n",
    );
  });

  it("gives a shell exactly the value", () => {
    const value = fc.string({ unit: "binary" }).filter((text) => !text.includes("\0") && text.isWellFormed());
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 20 }), (values) => {
        const set = Object.fromEntries(values.map((text, index) => [`V${index}`, text]));
        const script = `${shellLines(set, [])}printf '%s\\0' ${values.map((_, index) => `"$V${index}"`).join(" ")}`;
        const printed = execFileSync("/bin/sh", ["-c", script], { encoding: "utf8", env: {} });
        expect(printed.split("\0").slice(0, -1)).toEqual(values);
      }),
      { numRuns: 30 },
    );
  });
});
