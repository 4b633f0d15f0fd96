import { describe, expect, test } from "vitest";
import { checkChatBody } from "./chat-body.ts";
import { createScriptRunner, scriptRequest } from "./script-runner.ts";
import type { JsonObject, Match, Rule, Turn } from "./script.ts";

const TOOL = { type: "function", function: { name: "read", parameters: {} } };
const user = (content: unknown): JsonObject => ({ role: "user", content });
const assistant: JsonObject = { role: "assistant", content: "ok" };
const result: JsonObject = { role: "tool", content: "one" };

function request(messages: JsonObject[], more: JsonObject = {}, attempt = 1) {
  return scriptRequest(checkChatBody({ messages, ...more }), {}, "test-model", attempt);
}

describe("what a rule can ask for", () => {
  const long = request(
    [user("first"), assistant, result, user([{ type: "text", text: "Fix the bug" }]), assistant, result, result],
    {
      tools: [TOOL],
      response_format: { type: "json_schema" },
      stream: true,
    },
  );
  test.each<[Match, boolean]>([
    [{}, true],
    [{ turn: 3 }, true],
    [{ turn: 1 }, false],
    [{ toolResults: 3, toolResultsSinceUser: 2 }, true],
    [{ toolResultsSinceUser: 3 }, false],
    [{ lastRole: "tool" }, true],
    [{ lastRole: "user" }, false],
    [{ userText: "^fix.*bug" }, false],
    [{ userText: /^fix.*bug/i }, true],
    [{ userText: "first" }, false],
    [{ model: "^test-" }, true],
    [{ model: "^other" }, false],
    [{ tools: true }, true],
    [{ tools: false }, false],
    [{ tools: "read" }, true],
    [{ tools: "write" }, false],
    [{ responseFormat: true }, true],
    [{ responseFormat: "json_schema" }, true],
    [{ responseFormat: "json_object" }, false],
    [{ stream: true }, true],
    [{ stream: false }, false],
    [{ attempt: 2 }, false],
    [{ turn: 3, stream: false }, false],
  ])("%j: %s", (when, applies) => {
    const runner = createScriptRunner([{ when, answer: { text: "yes" } }]);
    expect(runner.answer(long)).toEqual(applies ? { text: "yes" } : undefined);
  });
});

test("the first rule that matches answers, as often as it may, its answers in turn", () => {
  const rules: Rule[] = [
    { when: { lastRole: "tool" }, answer: { text: "after a tool" } },
    { times: 3, answer: [{ text: "one" }, { text: "two" }] },
    { answer: { text: "rest" } },
  ];
  const runner = createScriptRunner(rules);
  const texts = (): (Turn["text"] | undefined)[] =>
    Array.from({ length: 5 }, () => runner.answer(request([user("x")]))?.text);
  expect(texts()).toEqual(["one", "two", "two", "rest", "rest"]);
  expect(runner.answer(request([user("x"), assistant, result]))).toEqual({ text: "after a tool" });
  runner.set(rules);
  expect(texts()[0]).toBe("one");
});

test("what is queued comes first, once; then the script, then nothing", () => {
  const runner = createScriptRunner((asked) => (asked.turn === 1 ? { text: "script" } : undefined));
  runner.next({ text: "a" }, { text: "b" });
  const answers = Array.from({ length: 3 }, () => runner.answer(request([user("x")]))?.text);
  expect(answers).toEqual(["a", "b", "script"]);
  expect(runner.answer(request([user("x"), assistant]))).toBeUndefined();
});

test("the same conversation again is another attempt; of very many the oldest are forgotten", () => {
  const runner = createScriptRunner(undefined);
  expect([runner.attempt(1), runner.attempt(2), runner.attempt(1), runner.attempt(1)]).toEqual([1, 1, 2, 3]);
  for (let other = 10; other < 10_010; other++) runner.attempt(other);
  expect(runner.attempt(1)).toBe(1);
});
