import { describe, expect, it } from "vitest";
import type { JsonObject } from "../conversation/request.ts";
import { parserFits, parserThere, strictTools, textKeptUnderNone } from "./parser-checks.ts";
import { type WrittenCall, writtenCall } from "./template-checks.ts";
import { SUBJECT, completion, played, refusal, rendering, stream } from "./__fixtures__/replies.ts";

const HERMES = '<tool_call>\n{"name": "report_city", "arguments": {"city":"Paris"}}\n</tool_call>';
const CODER = "<tool_call>\n<function=report_city>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>";
const NO_PARSER = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set';

/** A template that writes calls so. */
const template = (call: string) =>
  rendering(({ messages }) =>
    (messages as JsonObject[])
      .map(
        ({ role, content, tool_calls }) =>
          `<|${String(role)}|>${String(content)}${tool_calls === undefined ? "" : call}\n`,
      )
      .join(""),
  );
const formatOf = (call: string) =>
  writtenCall(
    played(() => completion({}), template(call)),
    SUBJECT,
  );

describe("the form in which the chat template writes calls", () => {
  it.each([
    [HERMES, "hermes"],
    [CODER, "qwen3_coder"],
    ["<tool_call>report_city\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>", "glm47"],
    ['<minimax:tool_call>\n<invoke name="report_city">\n</invoke>\n</minimax:tool_call>', "minimax_m2"],
    ["<seed:tool_call>\n<function=report_city>\n</function>\n</seed:tool_call>", "seed_oss"],
    [
      "<|tool_calls_section_begin|><|tool_call_begin|>functions.report_city:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
      "kimi_k2",
    ],
    [
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>report_city\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
      "deepseek_v3",
    ],
    [
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>report_city<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
      "deepseek_v31",
    ],
    ['[TOOL_CALLS][{"name": "report_city", "arguments": {"city": "Paris"}, "id": "call00001"}]', "mistral"],
    ['[TOOL_CALLS]report_city[ARGS]{"city": "Paris"}', "mistral"],
    ['{"name": "report_city", "parameters": {"city": "Paris"}}', "llama3_json"],
    ['[report_city(city="Paris")]', "pythonic"],
    ['<|tool_call>call:report_city{city:<|"|>Paris<|"|>}<tool_call|>', "gemma4"],
  ])("is told by %s", async (call, parser) => {
    expect(await formatOf(call)).toMatchObject({ format: { parser } });
  });

  it("is not told by a template that leaves calls out, or by an engine that does not render", async () => {
    expect(await formatOf("")).toBeUndefined();
    expect(
      await writtenCall(
        played(() => completion({})),
        SUBJECT,
      ),
    ).toBeUndefined();
  });
});

describe("a parser", () => {
  const refusing = played(() => refusal(NO_PARSER));

  it("that is missing is named by the form in which the template writes calls", async () => {
    const look = await parserThere(refusing, SUBJECT, await formatOf(CODER));
    expect(look).toMatchObject({
      missing: true,
      findings: [
        {
          id: "tool_parser",
          result: "bad",
          advice:
            "start it with --enable-auto-tool-choice --tool-call-parser qwen3_coder (the template writes calls as Qwen3-Coder does)",
        },
      ],
    });
  });

  it.each([
    [["agent", "Qwen/Qwen3-32B"], "--tool-call-parser hermes (by the model's name)"],
    [["moonshotai/Kimi-K2.6"], "--tool-call-parser kimi_k2 (by the model's name)"],
    [["house-model"], "--tool-call-parser and the parser of the model's family"],
  ])("that is missing is named by the model's name %j, where the template does not tell", async (names, flag) => {
    const { advice } = await parserThere(refusing, { ...SUBJECT, names }, undefined);
    expect(advice).toContain(flag);
  });

  it("that is there is no news", async () => {
    const look = await parserThere(
      played(() => completion({ content: "P" }, "length")),
      SUBJECT,
      undefined,
    );
    expect(look).toMatchObject({ missing: false, findings: [{ result: "ok" }] });
  });

  it("is not missing where tools are refused for another reason", async () => {
    const look = await parserThere(
      played(() => refusal("no tools here")),
      SUBJECT,
      undefined,
    );
    expect(look).toMatchObject({
      missing: false,
      findings: [{ result: "bad", found: expect.stringMatching(/no tools here/) }],
    });
  });
});

/** vLLM with a parser, which has to write what it is told. */
const parsing = (parser: (text: string, body: JsonObject) => Parameters<typeof completion>[0]) =>
  played((body) => {
    const [text] = (body["structured_outputs"] as { choice: string[] }).choice;
    const message = parser(text!, body);
    const finish = message.calls === undefined ? "stop" : "tool_calls";
    if (body["stream"] !== true) return completion(message, finish);
    const calls = message.calls?.map(([name, args], index) => ({ index, function: { name, arguments: args } }));
    return stream([{ content: message.content ?? "", ...(calls && { tool_calls: calls }) }], finish);
  });
const called = { calls: [["report_city", '{"city": "Paris"}']] as [string, string][] };

describe("what the parser reads", () => {
  const fits = async (parser: Parameters<typeof parsing>[0], written?: WrittenCall) =>
    parserFits(parsing(parser), SUBJECT, written, "ADVICE");
  const hermes = (text: string) => (text.includes('"arguments"') ? called : { content: text });

  it("is what the template writes", async () => {
    expect(await fits(hermes, await formatOf(HERMES))).toMatchObject([
      { result: "ok", found: expect.stringMatching(/^Hermes calls/) },
    ]);
  });

  it("is something else: the call stays text", async () => {
    expect(await fits(hermes, await formatOf(CODER))).toEqual([
      {
        id: "tool_parser_fits",
        result: "bad",
        found: "a Qwen3-Coder call, as the chat template writes it, stays text; it reads Hermes calls",
        advice: "ADVICE",
      },
    ]);
  });

  it("is something else: the call is deleted", async () => {
    const xml = (text: string) => (text.includes("<function=") ? called : { content: "" });
    expect(await fits(xml, await formatOf(HERMES))).toMatchObject([
      { result: "bad", found: expect.stringMatching(/is deleted by the parser; it reads Qwen3-Coder calls$/) },
    ]);
  });

  it("is lost in a stream", async () => {
    const wholeOnly = (text: string, body: JsonObject) => (body["stream"] === true ? { content: text } : called);
    expect(await fits(wholeOnly, await formatOf(HERMES))).toMatchObject([
      { result: "bad", found: expect.stringMatching(/and not of streams/) },
    ]);
  });

  it("is read otherwise than it was written", async () => {
    const other = () => ({ calls: [["report_city", '{"city": ["Paris"]}']] as [string, string][] });
    expect(await fits(other, await formatOf(HERMES))).toMatchObject([
      { result: "bad", found: expect.stringMatching(/becomes another call$/) },
    ]);
  });

  it("cannot be told of tokens that no text can spell, nor where the engine writes something else", async () => {
    expect(await fits(hermes, await formatOf("[TOOL_CALLS]report_city[ARGS]{}"))).toMatchObject([
      { result: "unknown" },
    ]);
    const thinking = () => ({ reasoning: "Let me see" });
    expect(await fits(thinking, await formatOf(HERMES))).toMatchObject([
      { result: "unknown", found: expect.stringMatching(/came as reasoning/) },
    ]);
  });

  it("is found out where the template does not tell", async () => {
    expect(await fits(hermes)).toMatchObject([
      { result: "unknown", found: expect.stringMatching(/the parser reads Hermes calls$/) },
    ]);
  });

  it("is asked of vLLM alone", async () => {
    const ask = () => Promise.reject(new Error("asked"));
    const subject = { ...SUBJECT, kind: "sglang" as const };
    for (const look of [
      parserFits(ask, subject, undefined, ""),
      textKeptUnderNone(ask, subject, undefined),
      strictTools(ask, subject),
    ])
      expect(await look).toMatchObject([{ result: "unknown" }]);
  });
});

describe("text under tool_choice none", () => {
  it("is kept", async () => {
    expect(
      await textKeptUnderNone(
        parsing((text) => ({ content: text })),
        SUBJECT,
        undefined,
      ),
    ).toMatchObject([{ result: "ok" }]);
  });

  it("is deleted", async () => {
    // As qwen3_xml of vLLM 0.32 does.
    const [finding] = await textKeptUnderNone(
      parsing(() => ({ content: "x " })),
      SUBJECT,
      undefined,
    );
    expect(finding).toMatchObject({ result: "warning", found: expect.stringMatching(/came back as "x "$/) });
  });

  it("becomes a call", async () => {
    const [finding] = await textKeptUnderNone(
      parsing(() => called),
      SUBJECT,
      undefined,
    );
    expect(finding).toMatchObject({ result: "warning", found: expect.stringMatching(/a call is made of it/) });
  });
});

describe("strict tools", () => {
  const strictOf = (body: JsonObject) => (body["tools"] as { function: { strict: boolean } }[])[0]!.function.strict;
  // As vLLM 0.32 refuses a type that is none.
  const refused = refusal("Invalid grammar specification: 'triggers'");

  it.each([
    ["heeded", (strict: boolean) => (strict ? refused : completion({ content: "P" })), "ok"],
    ["heeded for every tool", () => refused, "ok"],
    ["ignored", () => completion({ content: "P" }), "warning"],
  ])("are %s", async (_, answer, result) => {
    expect(
      await strictTools(
        played((body) => answer(strictOf(body))),
        SUBJECT,
      ),
    ).toMatchObject([{ result }]);
  });
});
