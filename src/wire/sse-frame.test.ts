import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromByteText } from "../conversation/byte-text.ts";
import { dataFrame, jsonText, namedFrame } from "./sse-frame.ts";

describe("frames", () => {
  it("end in an empty line", () => {
    expect(namedFrame("ping", "{}")).toBe("event: ping\ndata: {}\n\n");
    expect(dataFrame("[DONE]")).toBe("data: [DONE]\n\n");
  });
});

describe("jsonText", () => {
  it("is the JSON of the text, as bytes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const bytes = jsonText(text);
        expect(/^[\0-\xFF]*$/.test(bytes)).toBe(true);
        expect(JSON.parse(fromByteText(bytes))).toBe(text);
      }),
    );
  });

  it("is a single line", () => {
    expect(jsonText("a\nb\r\u2028")).not.toMatch(/[\n\r]/);
  });
});
