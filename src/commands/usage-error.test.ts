import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { refuseInOneLine, usageError } from "./usage-error.ts";

describe("usageError", () => {
  it.each([
    ["error: missing required argument 'usd'\n", "evener: missing required argument 'usd'; see: evener key --help"],
    [
      "error: unknown command 'crate'\n(Did you mean create?)\n",
      "evener: unknown command 'crate' (Did you mean create?); see: evener key --help",
    ],
    [
      "error: too many arguments for 'list'. Expected 0 arguments but got 1.\n",
      "evener: too many arguments for 'list'. Expected 0 arguments but got 1. See: evener key --help",
    ],
    [
      "error: option '--by <what>' argument 'x' is invalid. Allowed choices are a, b.\n",
      "evener: option '--by <what>' argument 'x' is invalid. Allowed choices are a, b.",
    ],
  ])("makes one line of %j", (text, line) => {
    expect(usageError(text, "evener key")).toBe(line);
  });
});

it("names the help of the command that was called", () => {
  let said = "";
  const program = new Command("evener").exitOverride();
  const list = program.command("key").command("list").exitOverride();
  refuseInOneLine(program);
  list.configureOutput({ writeErr: (text) => (said += text) });
  expect(() => program.parse(["key", "list", "--nosuch"], { from: "user" })).toThrow("unknown option");
  expect(said).toBe("evener: unknown option '--nosuch'; see: evener key list --help\n");
});
