import { describe, expect, it } from "vitest";
import { stripAttribution } from "./attribution.ts";

const line = "x-anthropic-billing-header: cc_version=2.1.197.d55; cc_entrypoint=sdk-cli; cch=00000;";

describe("stripAttribution", () => {
  it("empties a block of its own", () => expect(stripAttribution(line)).toBe(""));
  it("takes the line off the front of a string", () =>
    expect(stripAttribution(`${line}\n\nYou are an agent.\n`)).toBe("You are an agent.\n"));
  it("leaves every other text alone, byte for byte", () => {
    for (const text of ["", "You are.", `Say "${line}"`, `\n${line}`]) expect(stripAttribution(text)).toBe(text);
  });
});
