import { expect, it } from "vitest";
import { causeOf } from "./cause-of.ts";

it("names the kind and the places of what was thrown, not what the client is told, and never its words", () => {
  const cause = causeOf(new Error("the gateway failed", { cause: new RangeError("a secret") }));
  expect(cause).toMatch(/^RangeError \| at .*cause-of\.test\.ts/);
  expect(cause.split(" | ").length).toBeLessThanOrEqual(6);
  expect(cause).not.toContain("secret");
});

it("names the code of a database's or the system's error, where that is one", () => {
  const thrown = (code: unknown) => causeOf(Object.assign(new Error("words"), { code })).split(" | ")[0];
  expect(thrown("42P01")).toBe("Error 42P01");
  expect(thrown("ENOSPC")).toBe("Error ENOSPC");
  expect(thrown("some words of a prompt")).toBe("Error");
  expect(thrown(7)).toBe("Error");
});

it("is of the error itself where nothing caused it, and of a value its type alone", () => {
  expect(causeOf(new TypeError("words"))).toMatch(/^TypeError \| at /);
  expect(causeOf("a secret")).toBe("string");
});
