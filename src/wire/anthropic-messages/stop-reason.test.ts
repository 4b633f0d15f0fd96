import { expect, it } from "vitest";
import { stopReason } from "./stop-reason.ts";

it.each([
  ["stop", false, "end_turn"],
  ["stop", true, "tool_use"],
  ["tool-calls", true, "tool_use"],
  ["tool-calls", false, "end_turn"],
  ["length", false, "max_tokens"],
  ["length", true, "max_tokens"],
  ["stop-sequence", false, "stop_sequence"],
  ["stop-sequence", true, "stop_sequence"],
  ["content-filter", false, "refusal"],
] as const)("%s, with calls %s, is %s", (reason, hasToolUse, expected) => {
  expect(stopReason({ type: "finish", reason }, hasToolUse)).toBe(expected);
});
