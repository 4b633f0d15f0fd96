import { describe, expect, it } from "vitest";
import { GatewayError } from "../conversation/errors.ts";
import type { JsonObject } from "../conversation/request.ts";
import { readWhole } from "./chat-answer.ts";
import { type Cell, type Choice, CHOICES, askForCalls, judge, matrixFindings } from "./tool-matrix.ts";
import { type Message, SUBJECT, completion, played, refusal, stream } from "./__fixtures__/replies.ts";

const GOOD: [string, string] = ["report_city", '{"city": "Paris"}'];
const PARSER = { missing: false, advice: "start it with --tool-call-parser hermes" };

function judged(choice: Choice, message: Message, finish: string) {
  const answer = readWhole(completion(message, finish).text);
  if (typeof answer === "string") throw new Error(answer);
  const { outcome, result } = judge(choice, answer);
  return `${result}: ${outcome}`;
}

describe("a cell", () => {
  it.each<[Choice, Message, string, string]>([
    ["auto", { calls: [GOOD] }, "tool_calls", "ok: call"],
    ["required", { calls: [GOOD] }, "tool_calls", "ok: call"],
    ["required", { calls: [GOOD], content: "\n", reasoning: "I call report_city." }, "tool_calls", "ok: call"],
    // As vLLM and OpenAI's own server end one that was forced by name.
    ["named", { calls: [GOOD] }, "stop", "ok: call"],
    ["named", { calls: [GOOD] }, "tool_calls", "ok: call"],
    ["required", { calls: [GOOD] }, "stop", "bad: finish"],
    ["auto", { calls: [GOOD] }, "stop", "bad: finish"],
    ["auto", { calls: [GOOD] }, "length", "bad: finish"],
    ["required", { calls: [GOOD, GOOD] }, "tool_calls", "bad: several"],
    ["required", { calls: [["report", "{}"]] }, "tool_calls", "bad: wrong tool"],
    ["required", { calls: [["", GOOD[1]]] }, "tool_calls", "bad: wrong tool"],
    ["required", { calls: [["report_city", '{"city": {"type": "string"}}']] }, "tool_calls", "bad: arguments"],
    ["named", { calls: [["report_city", "{}"]] }, "stop", "bad: arguments"],
    ["auto", { calls: [["report_city", '{"city": "paris"}']] }, "tool_calls", "warning: arguments"],
    ["auto", { calls: [["report_city", '{"city": "Par']] }, "tool_calls", "bad: arguments"],
    ["auto", { calls: [["report_city", '{"city": "Par']] }, "length", "unknown: cut"],
    ["required", { calls: [GOOD], content: '<tool_call>\n{"name": "report_city"' }, "tool_calls", "bad: as text"],
    ["required", { calls: [GOOD], reasoning: "<tool_call>" }, "tool_calls", "bad: in reasoning"],

    ["auto", { content: "Paris is a city." }, "stop", "ok: no call"],
    ["auto", { content: "\n\n\n" }, "length", "ok: no call"],
    ["auto", { content: "" }, "stop", "ok: no call"],
    ["auto", { content: "" }, "tool_calls", "bad: lost"],
    ["auto", { reasoning: "Let me see" }, "length", "unknown: thinking"],
    [
      "auto",
      { content: '<tool_call>\n{"name": "report_city", "arguments": {}}\n</tool_call>' },
      "stop",
      "bad: as text",
    ],
    ["auto", { content: "<function=report_city>\n<parameter=city>\nParis" }, "stop", "bad: as text"],
    ["auto", { content: '[TOOL_CALLS][{"name": "report_city"}]' }, "stop", "bad: as text"],
    ["auto", { content: 'report_city(city="Paris")' }, "stop", "bad: as text"],
    ["auto", { content: '{"name": "report_city", "parameters": {"city": "Paris"}}' }, "stop", "bad: as text"],
    ["auto", { content: "", reasoning: "<tool_call>{}</tool_call>" }, "stop", "bad: in reasoning"],

    ["required", { content: "" }, "stop", "bad: lost"],
    ["required", { content: "" }, "tool_calls", "bad: lost"],
    ["named", { content: "Paris" }, "stop", "bad: lost"],
    ["named", { reasoning: "Paris" }, "stop", "bad: reasoning only"],
    ["required", { reasoning: "Paris" }, "length", "unknown: thinking"],
    ["required", { content: '<tool_call>{"name": "report_city", "arguments": {  ' }, "length", "unknown: cut"],
  ])("under %s, %j that ends by %s, is %s", (choice, message, finish, verdict) => {
    expect(judged(choice, message, finish)).toBe(verdict);
  });
});

/** The cells of an engine that answers so. */
async function cellsOf(chat: (body: JsonObject) => { status: number; text: string }): Promise<Cell[]> {
  const rows = await Promise.all(CHOICES.map((choice) => askForCalls(played(chat), SUBJECT, choice)));
  return rows.flat();
}

const whole = (body: JsonObject, message: Message, finish: string) => {
  if (body["stream"] !== true) return completion(message, finish);
  const deltas: JsonObject[] = [{ content: message.content ?? "" }];
  for (const [name, args] of message.calls ?? []) {
    deltas.push({ tool_calls: [{ index: 0, function: { name } }] });
    deltas.push({ tool_calls: [{ index: 0, function: { arguments: args } }] });
  }
  return stream(deltas, finish);
};
const called = (body: JsonObject) =>
  whole(body, { calls: [GOOD] }, typeof body["tool_choice"] === "object" ? "stop" : "tool_calls");
const thinkingOff = ({ chat_template_kwargs: how }: JsonObject) =>
  (how as { enable_thinking?: boolean } | undefined)?.enable_thinking === false;

describe("the matrix", () => {
  it("asks in each way, streamed and whole, with thinking as it comes, off and on", async () => {
    const seen = new Set<string>();
    const cells = await cellsOf((body) => {
      const choice = typeof body["tool_choice"] === "object" ? "named" : String(body["tool_choice"]);
      seen.add(`${choice} ${JSON.stringify(body["chat_template_kwargs"] ?? {})} ${String(body["stream"])}`);
      return called(body);
    });
    expect(seen.size).toBe(18);
    expect(cells).toHaveLength(18);
    expect(cells.every(({ outcome }) => outcome === "call")).toBe(true);
    expect(matrixFindings(cells, PARSER).map(({ result }) => result)).toEqual(["ok", "ok", "ok"]);
  });

  it("finds the call that is dropped where it is forced and thinking is off, and says what goes round it", async () => {
    // dynamo#8636: the empty think block is read as reasoning that has not ended.
    const cells = await cellsOf((body) =>
      thinkingOff(body) && body["tool_choice"] !== "auto" ? whole(body, { content: "" }, "stop") : called(body),
    );
    const [auto, required, named] = matrixFindings(cells, PARSER);
    expect(auto).toMatchObject({ id: "tool_choice_auto", result: "ok" });
    for (const finding of [required, named]) {
      expect(finding).toMatchObject({
        result: "bad",
        found: expect.stringMatching(/^2 of 6 cells \(thinking off\): no call came, though it was forced, but nothing/),
        advice: expect.stringContaining("leave thinking on"),
      });
    }
  });

  it("finds calls that are lost in streams alone", async () => {
    const cells = await cellsOf((body) =>
      body["stream"] === true ? whole(body, { content: "<tool_call>\n{" }, "stop") : called(body),
    );
    const [auto] = matrixFindings(cells, PARSER);
    expect(auto).toMatchObject({
      result: "bad",
      found: expect.stringMatching(
        /^3 of 6 cells \(thinking default, off, on; streamed\): the call was left in the text/,
      ),
      advice: PARSER.advice,
    });
  });

  it("says in the engine's words what it does not take", async () => {
    const cells = await cellsOf((body) =>
      body["tool_choice"] === "auto" ? called(body) : refusal("only auto is supported"),
    );
    expect(matrixFindings(cells, PARSER)[1]).toEqual({
      id: "tool_choice_required",
      result: "bad",
      found: "all 6 cells: 400: only auto is supported",
    });
  });

  it("knows the failure of a grammar that cannot hold calls", async () => {
    const wordless = {
      error: { message: "Internal server error", type: "InternalServerError", param: null, code: 500 },
    };
    const cells = await cellsOf(() => ({ status: 500, text: JSON.stringify(wordless) }));
    for (const finding of matrixFindings(cells, PARSER))
      expect(finding).toMatchObject({
        result: "bad",
        found: "all 6 cells: 500: Internal server error",
        advice: expect.stringContaining("--structured-outputs-config.backend xgrammar"),
      });
  });

  it("goes on where no answer comes", async () => {
    const ask = () => Promise.reject(new GatewayError("engine_timeout", "the engine sent nothing for 120 s"));
    const cells = await askForCalls(ask, SUBJECT, "auto");
    expect(matrixFindings(cells, PARSER)[0]).toMatchObject({
      result: "bad",
      found: expect.stringMatching(/the engine sent nothing/),
    });
  });

  it("forces by the tool alone where an engine knows no names", async () => {
    const choices = new Set<unknown>();
    const ask = played((body) => {
      choices.add(body["tool_choice"]);
      return called(body);
    });
    await askForCalls(ask, { ...SUBJECT, kind: "llama.cpp" }, "named");
    expect([...choices]).toEqual(["required"]);
  });
});
