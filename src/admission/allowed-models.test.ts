import { describe, expect, it } from "vitest";
import { assertModelAllowed, inShort, mayUse, validModels } from "./allowed-models.ts";

describe("the models that a key may use", () => {
  it("are all of them without a list", () => {
    expect(validModels(null)).toBeNull();
    expect(mayUse(null, "any")).toBe(true);
    expect(() => assertModelAllowed(null, "any")).not.toThrow();
  });

  it("are those of the list, by their whole names", () => {
    const allowed = validModels(["small", "Qwen/Qwen3-Coder", "small"]);
    expect(allowed).toEqual(["Qwen/Qwen3-Coder", "small"]);
    expect(mayUse(allowed, "small")).toBe(true);
    expect(mayUse(allowed, "smal")).toBe(false);
    expect(mayUse(allowed, "Small")).toBe(false);
    expect(() => assertModelAllowed(allowed, "small")).not.toThrow();
    expect(() => assertModelAllowed(allowed, "big")).toThrow(
      expect.objectContaining({
        code: "model_not_allowed",
        param: "model",
        message: "this key may not use big; it may use Qwen/Qwen3-Coder, small",
      }),
    );
  });

  it.each([[[]], [[""]], [[" small"]], [["sm\nall"]], [["\0"]], [["\ud800"]], [["a".repeat(501)]]])(
    "refuses the list %j",
    (models) => {
      expect(() => validModels(models)).toThrow(expect.objectContaining({ code: "invalid_request", param: "models" }));
    },
  );

  it("takes as many as the database does, and no more", () => {
    const names = Array.from({ length: 1_001 }, (_, index) => `model-${index}`);
    expect(validModels(names.slice(1))).toHaveLength(1_000);
    expect(() => validModels(names)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });

  it("are named in messages as far as people read", () => {
    const names = Array.from({ length: 23 }, (_, index) => `m${index}`);
    expect(inShort(names.slice(0, 2))).toBe("m0, m1");
    expect(inShort(names)).toMatch(/^m0, .*m19 and 3 more$/);
  });
});
