import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toByteText } from "../../conversation/byte-text.ts";
import { createSigner } from "./signature.ts";

const secret = Buffer.from("0123456789abcdef0123456789abcdef");
const signer = createSigner(secret);
const MODEL = "test-model";

describe("createSigner", () => {
  it("knows its own signature on any text, signed as bytes and verified as text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(signer.verify(text, signer.sign(toByteText(text), MODEL), MODEL)).toBe(true);
      }),
    );
  });

  it("signs alike on every replica", () => {
    expect(createSigner(Buffer.from(secret)).sign(toByteText("so"), MODEL)).toBe(signer.sign(toByteText("so"), MODEL));
  });

  it("refuses another text, another secret, another model", () => {
    const signature = signer.sign(toByteText("I think."), MODEL);
    expect(signer.verify("I think", signature, MODEL)).toBe(false);
    expect(createSigner(Buffer.alloc(32, 7)).verify("I think.", signature, MODEL)).toBe(false);
    expect(signer.verify("I think.", signature, "other-model")).toBe(false);
  });

  it("refuses every signature with one character changed", () => {
    const signature = signer.sign(toByteText("I think."), MODEL);
    for (let at = 0; at < signature.length - 1; at++) {
      const other = signature[at] === "A" ? "B" : "A";
      expect(signer.verify("I think.", signature.slice(0, at) + other + signature.slice(at + 1), MODEL)).toBe(false);
    }
  });

  it("refuses what others send", () => {
    for (const foreign of ["", "bW9jaw==", "EqoBCkgIARABGAIiQ".repeat(20), "Evn1", `Evn1${"\uD800".repeat(44)}`])
      expect(signer.verify("I think.", foreign, MODEL)).toBe(false);
  });

  it("is base64, so that clients which check pass it on", () => {
    const signature = signer.sign(toByteText("é"), MODEL);
    expect(Buffer.from(signature, "base64").toString("base64")).toBe(signature);
  });

  it("wants a secret worth the name", () => {
    expect(() => createSigner(Buffer.alloc(8))).toThrow("16 bytes");
  });
});
