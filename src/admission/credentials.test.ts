import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { credentialsOf } from "./credentials.ts";

const visible = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
});

describe("credentialsOf", () => {
  it("takes any key from either header, or the same one from both", () => {
    fc.assert(
      fc.property(visible, (key) => {
        expect(credentialsOf({ authorization: `Bearer ${key}` })).toBe(key);
        expect(credentialsOf({ authorization: `bearer   ${key}  ` })).toBe(key);
        expect(credentialsOf({ "x-api-key": key })).toBe(key);
        expect(credentialsOf({ authorization: `Bearer ${key}`, "x-api-key": ` ${key}` })).toBe(key);
      }),
    );
  });

  it("refuses two that differ", () => {
    expect(() => credentialsOf({ authorization: "Bearer a", "x-api-key": "b" })).toThrow(
      expect.objectContaining({ code: "conflicting_credentials" }),
    );
  });

  it.each([
    {},
    { authorization: "" },
    { authorization: "Bearer" },
    { authorization: "Bearer   " },
    { authorization: "Basic dTpw" },
    { "x-api-key": " " },
  ])("says that %o has none", (headers) => {
    expect(() => credentialsOf(headers)).toThrow(expect.objectContaining({ code: "missing_credentials" }));
  });

  it("takes the key beside a scheme that is not ours", () => {
    expect(credentialsOf({ authorization: "Basic dTpw", "x-api-key": "k" })).toBe("k");
  });
});
