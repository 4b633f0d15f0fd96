import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashKey, isKey, keyHint, newKey } from "./key-format.ts";

describe("newKey", () => {
  it("makes keys that are keys, each another", () => {
    const keys = Array.from({ length: 200 }, () => newKey("virtual"));
    expect(keys.every((key) => isKey("virtual", key))).toBe(true);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("makes keys that the pattern in the docs finds in a text", () => {
    const text = `export EVENER_KEY="${newKey("virtual")}"`;
    expect(/\bev-(?:admin-)?[A-Za-z0-9_-]{43}_evk[0-9a-z]{7}\b/.test(text)).toBe(true);
  });

  it("keeps the kinds apart", () => {
    expect(isKey("admin", newKey("admin"))).toBe(true);
    expect(isKey("virtual", newKey("admin"))).toBe(false);
    expect(isKey("admin", newKey("virtual"))).toBe(false);
  });
});

describe("isKey", () => {
  it("tells every mistyped character", () => {
    const key = newKey("virtual");
    fc.assert(
      fc.property(fc.nat(key.length - 1), fc.constantFrom("a", "z", "A", "Z", "0", "9", "-", "_"), (at, character) => {
        fc.pre(key[at] !== character);
        expect(isKey("virtual", key.slice(0, at) + character + key.slice(at + 1))).toBe(false);
      }),
    );
  });

  it("takes any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(isKey("virtual", text)).toBe(false);
      }),
    );
    expect(isKey("virtual", `${newKey("virtual")}\n`)).toBe(false);
  });
});

describe("hashKey", () => {
  it("depends on the pepper", () => {
    const key = newKey("virtual");
    expect(hashKey(Buffer.from("a"), key)).not.toEqual(hashKey(Buffer.from("b"), key));
    expect(hashKey(Buffer.from("a"), key)).toEqual(hashKey(Buffer.from("a"), key));
    expect(hashKey(Buffer.from("a"), key)).toHaveLength(32);
  });
});

describe("keyHint", () => {
  it("shows four of 43 random characters", () => {
    expect(keyHint("ev-abcdefgh")).toBe("ev-abcd…");
  });
});
