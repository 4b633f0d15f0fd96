import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asByteText, fromByteText, toByteText } from "../conversation/byte-text.ts";
import type { JsonObject } from "../conversation/request.ts";
import { CallRecovery, CallVocabulary, type DeclaredTool, type RecoveredPiece } from "./call-recovery.ts";

const TEXT = { type: "string" };
const tools: DeclaredTool[] = [
  {
    name: "Write",
    schema: { type: "object", properties: { file_path: TEXT, content: TEXT }, required: ["file_path", "content"] },
  },
  {
    name: "Bash",
    schema: {
      type: "object",
      properties: { command: TEXT, timeout: { type: "integer" }, background: { type: "boolean" } },
      required: ["command"],
    },
  },
  { name: "search", schema: { type: "object", properties: { query: TEXT }, required: ["query"] } },
];
const vocabulary = new CallVocabulary(tools);
const CALL = '<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>';

function recover(pieces: readonly string[], cut = false, known = vocabulary): RecoveredPiece[] {
  const recovery = new CallRecovery(known);
  const out = pieces.flatMap((piece) => recovery.push("text", asByteText(piece)));
  out.push(...recovery.end(cut));
  expect(recovery.memory).toBe(0);
  return out;
}

/** Neighbouring texts put together, calls parsed. */
function joined(pieces: readonly RecoveredPiece[]): unknown[] {
  const out: ({ text: string } | { name: string; arguments: string })[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (piece.type === "call") out.push({ name: piece.name, arguments: fromByteText(piece.arguments) });
    else if (last !== undefined && "text" in last) last.text += piece.text;
    else out.push({ text: piece.text });
  }
  return out;
}

function callsOf(pieces: readonly RecoveredPiece[]): unknown[] {
  return pieces.flatMap((piece) =>
    piece.type === "call"
      ? [{ name: piece.name, arguments: JSON.parse(fromByteText(piece.arguments)) as unknown }]
      : [],
  );
}

function textOf(pieces: readonly RecoveredPiece[]): string {
  return pieces.map((piece) => (piece.type === "call" ? "" : piece.text)).join("");
}

function splitAt(text: string, cuts: readonly number[]): string[] {
  const places = [0, ...new Set(cuts.map((cut) => cut % (text.length + 1))), text.length].toSorted((a, b) => a - b);
  return places.slice(1).map((end, i) => text.slice(places[i], end));
}

type Row = { id: string; raw: string; level: string; tools: { name: string; parameters: JsonObject }[] };
const rows = readFileSync(new URL("__fixtures__/malformed.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Row)
  .filter(({ level }) => level === "text");

describe("any split gives the same", () => {
  test.each(rows)("$id", (row) => {
    const known = new CallVocabulary(row.tools.map(({ name, parameters }) => ({ name, schema: parameters })));
    const bytes = toByteText(`Before.\n${row.raw}`);
    for (const text of [toByteText(row.raw), bytes, bytes.slice(0, -7)]) {
      const whole = joined(recover([text], false, known));
      expect(joined(recover(text.split(""), false, known))).toEqual(whole);
      fc.assert(
        fc.property(fc.array(fc.nat(), { maxLength: 12 }), (cuts) => {
          expect(joined(recover(splitAt(text, cuts), false, known))).toEqual(whole);
        }),
        { numRuns: 60 },
      );
    }
  });
});

const MARKS = [
  "<tool_call>",
  "</tool_call>",
  "<function=Bash>",
  "<parameter=command>",
  "</parameter>",
  "</function>",
  "<tool_call",
  "<|",
  "[TOOL_CALLS]",
  "[ARGS]",
  '{"name": ',
  '"Bash"',
  '"arguments": {',
  "{",
  "}",
  "]",
  "[",
  "\n",
  "```",
  "```json\n",
  '"',
  '<invoke name="Bash">',
  "</invoke>",
  "<|tool_call_begin|>",
  "<|tool_call>call:Bash{",
  '<|"|>',
  "functools[",
  "Bash(",
  "command=",
  ")",
  "commentary to=functions.Bash ",
  "<arg_key>command",
  "</arg_key>",
  "<arg_value>",
  "</arg_value>",
  "Bash",
  "<Bash>",
  "<command>ls</command>",
  "</Bash>",
  toByteText("<｜tool▁call▁begin｜>"),
  toByteText("<｜DSML｜"),
  "ls -la",
  " ",
  "\u00ff",
  "[Calling tool: Bash",
  "</think>",
  "<think>",
  "<|im_end|>x",
  "Action: ",
  "`",
  "]<]minimax[>[",
  '{"tool_call":',
  '<|open|>call tool="Bash" ',
  "<|sep|>",
];

test("a tag that is begun behind a code fence in a mark is waited for, as one without a fence is", () => {
  const text = "<tool_call>```json\n<function=Bash><command>ls</command>";
  expect(joined(recover(text.split("")))).toEqual([{ name: "Bash", arguments: '{"command":"ls"}' }]);
  expect(joined(recover([text]))).toEqual(joined(recover(text.split(""))));
});

test("whatever follows a mark: nothing is thrown, and nothing lost when there is no call", () => {
  const garbage = fc.array(fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...MARKS) }, fc.string()), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(garbage, fc.array(fc.nat(), { maxLength: 8 }), fc.boolean(), (parts, cuts, cut) => {
      const text = toByteText(fromByteText(asByteText(parts.join(""))));
      const whole = recover([text], cut);
      expect(joined(recover(splitAt(text, cuts), cut))).toEqual(joined(whole));
      expect(joined(recover(text.split(""), cut))).toEqual(joined(whole));
      if (callsOf(whole).length === 0) expect(textOf(whole)).toBe(text);
    }),
    { numRuns: 3000 },
  );
});

test("the short way for plain pieces changes nothing, in blocks of code neither", () => {
  const part = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom("```", "`", "\n", "```\n", "```ts\n", " ", "code", "a < b", "<", "[x]", "{"),
    },
    { weight: 2, arbitrary: fc.constantFrom(CALL, CALL.slice(0, 20), "<think>", "</think>", "Bash(", "Action: ") },
    fc.string({ maxLength: 4 }),
  );
  let plain = 0;
  fc.assert(
    fc.property(fc.array(part, { maxLength: 14 }), fc.array(fc.nat(), { maxLength: 10 }), (parts, cuts) => {
      const pieces = splitAt(toByteText(parts.join("")), cuts);
      const recovery = new CallRecovery(vocabulary);
      const out = pieces.flatMap((each): RecoveredPiece[] => {
        const piece = asByteText(each);
        if (!recovery.passes("text", piece)) return recovery.push("text", piece);
        plain++;
        return [{ type: "text", text: piece }];
      });
      expect(joined([...out, ...recovery.end(false)])).toEqual(joined(recover(pieces)));
    }),
    { numRuns: 3_000 },
  );
  expect(plain).toBeGreaterThan(1_000);
});

test("plain pieces in a block of code take the short way", () => {
  const recovery = new CallRecovery(vocabulary);
  expect(joined(recovery.push("text", toByteText("So:\n```ts\nlet a")))).toEqual([{ text: "So:\n```ts\nlet a" }]);
  expect(recovery.passes("text", toByteText(" = 1;"))).toBe(true);
  expect(joined(recovery.push("text", toByteText(`\n${CALL}\n`)))).toEqual([{ text: `\n${CALL}\n` }]);
});

test("text without marks passes unchanged and at once", () => {
  const plain = fc
    .string({ unit: "grapheme" })
    .map((text) => text.replace(/[<[\]{}`\n]/g, " ").replace(/^\s*[a-zA-Z]/, "Z"));
  fc.assert(
    fc.property(fc.array(plain), (pieces) => {
      const recovery = new CallRecovery(vocabulary);
      pieces.forEach((piece, i) => {
        const bytes = toByteText(i === 0 ? `Z${piece}` : piece);
        expect(
          recovery
            .push("text", bytes)
            .map((out) => (out.type === "call" ? "" : out.text))
            .join(""),
        ).toBe(bytes);
      });
    }),
  );
});

const quoted = (text: string): string => JSON.stringify(text);
/** Each dialect's own form of a call with texts. */
const DIALECTS: Record<string, (name: string, args: Record<string, string>) => string> = {
  hermes: (name, args) => `<tool_call>\n{"name": "${name}", "arguments": ${JSON.stringify(args)}}\n</tool_call>`,
  qwen: (name, args) =>
    `<tool_call>\n<function=${name}>\n${Object.entries(args)
      .map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`)
      .join("")}</function>\n</tool_call>`,
  glm: (name, args) =>
    `<tool_call>${name}${Object.entries(args)
      .map(([key, value]) => `<arg_key>${key}</arg_key>\n<arg_value>${value}</arg_value>`)
      .join("\n")}</tool_call>`,
  minimax: (name, args) =>
    `<minimax:tool_call>\n<invoke name="${name}">\n${Object.entries(args)
      .map(([key, value]) => `<parameter name="${key}">\n${value}\n</parameter>\n`)
      .join("")}</invoke>\n</minimax:tool_call>`,
  claude: (name, args) =>
    `<function_calls>\n<invoke name="${name}">\n${Object.entries(args)
      .map(([key, value]) => `<parameter name="${key}">\n${value}\n</parameter>\n`)
      .join("")}</invoke>\n</function_calls>`,
  dsml: (name, args) =>
    `<｜DSML｜function_calls>\n<｜DSML｜invoke name="${name}">\n${Object.entries(args)
      .map(([key, value]) => `<｜DSML｜parameter name="${key}" string="true">${value}</｜DSML｜parameter>\n`)
      .join("")}</｜DSML｜invoke>\n</｜DSML｜function_calls>`,
  kimi: (name, args) =>
    `<|tool_calls_section_begin|><|tool_call_begin|>functions.${name}:0<|tool_call_argument_begin|>${JSON.stringify(args)}<|tool_call_end|><|tool_calls_section_end|>`,
  kimi3: (name, args) =>
    `<|open|>call tool="${name}" index="1"<|sep|>${Object.entries(args)
      .map(([key, value]) => `<|open|>argument key="${key}" type="string"<|sep|>${value}<|close|>argument<|sep|>`)
      .join("")}<|close|>call<|sep|>`,
  deepseek: (name, args) =>
    `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>${name}\n\`\`\`json\n${JSON.stringify(args)}\n\`\`\`<｜tool▁call▁end｜><｜tool▁calls▁end｜>`,
  deepseek31: (name, args) =>
    `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>${name}<｜tool▁sep｜>${JSON.stringify(args)}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`,
  mistral: (name, args) => `[TOOL_CALLS][{"name": "${name}", "arguments": ${JSON.stringify(args)}}]`,
  mistral2: (name, args) => `[TOOL_CALLS]${name}[ARGS]${JSON.stringify(args)}`,
  llama: (name, args) => `<|python_tag|>{"name": "${name}", "parameters": ${JSON.stringify(args)}}`,
  pythonic: (name, args) =>
    `[${name}(${Object.entries(args)
      .map(([key, value]) => `${key}=${quoted(value)}`)
      .join(", ")})]`,
  lfm: (name, args) =>
    `<|tool_call_start|>[${name}(${Object.entries(args)
      .map(([key, value]) => `${key}=${quoted(value)}`)
      .join(", ")})]<|tool_call_end|>`,
  gemma: (name, args) =>
    `<|tool_call>call:${name}{${Object.entries(args)
      .map(([key, value]) => `${key}:<|"|>${value}<|"|>`)
      .join(",")}}<tool_call|>`,
  harmony: (name, args) =>
    `<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>${JSON.stringify(args)}<|call|>`,
  phi: (name, args) => `functools[{"name": "${name}", "arguments": ${JSON.stringify(args)}}]`,
  cohere: (name, args) =>
    `<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "${name}", "parameters": ${JSON.stringify(args)}}]<|END_ACTION|>`,
  cline: (name, args) =>
    `<${name}>\n${Object.entries(args)
      .map(([key, value]) => `<${key}>\n${value}\n</${key}>\n`)
      .join("")}</${name}>`,
  bare: (name, args) => `{"name": "${name}", "arguments": ${JSON.stringify(args)}}`,
  fenced: (name, args) => `\`\`\`json\n{"name": "${name}", "arguments": ${JSON.stringify(args)}}\n\`\`\``,
  nested: (name, args) =>
    `{"type": "function", "function": {"name": "${name}", "arguments": ${quoted(JSON.stringify(args))}}}`,
};
const TAGGED = new Set(["qwen", "minimax", "claude", "cline"]);

describe("a valid call in each dialect comes back equal", () => {
  const code = fc
    .array(
      fc.oneof(
        fc.string({ unit: "grapheme" }),
        fc.constantFrom(
          '"',
          "'",
          "\n",
          "{",
          "}",
          "é",
          "漢",
          "\\",
          "\\n",
          "if (a < b) {\n  x[0] = `y`;\n}",
          "</div>\n",
          "<T,>",
          "“q”",
          '{"name": "Bash"}',
          "\t",
        ),
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join("").toWellFormed());
  test.each(Object.keys(DIALECTS))("%s", (dialect) => {
    fc.assert(
      fc.property(code, code, fc.array(fc.nat(), { maxLength: 6 }), (path, content, cuts) => {
        const args = { file_path: path, content };
        const text = toByteText(DIALECTS[dialect]!("Write", args));
        // A carriage return before a tag's own line break cannot be told from it.
        if (TAGGED.has(dialect) && /[\r]/.test(path + content)) return;
        const pieces = recover(splitAt(text, cuts));
        expect(callsOf(pieces)).toEqual([{ name: "Write", arguments: args }]);
        expect(textOf(pieces)).toBe("");
      }),
      { numRuns: 150 },
    );
  });

  test.each(Object.keys(DIALECTS))("%s: two calls with text around", (dialect) => {
    const render = DIALECTS[dialect]!;
    const one = render("Bash", { command: "ls" });
    const text = toByteText(`First.\n\n${one}\n${render("search", { query: "ü" })}`);
    const pieces = recover(text.split(""));
    expect(callsOf(pieces)).toEqual([
      { name: "Bash", arguments: { command: "ls" } },
      { name: "search", arguments: { query: "ü" } },
    ]);
    expect(textOf(pieces)).toBe("First.\n\n");
    const cut = recover([toByteText(`First.\n\n${render("Bash", { command: "ls|CUT" })}`).split("|CUT")[0]!], true);
    expect(callsOf(cut)).toEqual([]);
    expect(textOf(cut)).toContain("ls");
  });
});

describe("what is no call stays text", () => {
  const call = '{"name": "Bash", "arguments": {"command": "ls"}}';
  test.each([
    ["C++ includes", "#include <functional>\n#include <vector>\nstd::function<int(int)> f;\nint a[3] = {1, 2};\n"],
    [
      "HTML",
      '<!doctype html>\n<html>\n<body>\n<form><input name="search"><search>x</search></form>\n<tools><tool>hammer</tool></tools>\n</body></html>',
    ],
    ["JSX", 'return (\n  <Write>\n    <div className="a">{items.map((i) => <Item key={i} />)}</div>\n  </Write>\n);'],
    [
      "a document on tool calls",
      "Models write `<tool_call>` and then JSON, as in `<tool_call>" +
        call +
        "</tool_call>`.\n\nThe tag <tool_call> opens a call, </tool_call> closes it.",
    ],
    [
      "a quoted example",
      "For example:\n\n```xml\n<tool_call>\n" + call + "\n</tool_call>\n```\n\nThe name is the tool's name.",
    ],
    ["a quoted JSON example", "For example:\n\n```json\n" + call + "\n```\n\nThe name is the tool's name."],
    ["a block with more than the call", "```\n$ cat call.json\n" + call + "\n```"],
    ["an example in the middle", "The format is\n" + call + "\nand nothing else."],
    ["a configuration", '{\n  "name": "my-app",\n  "version": "1.0.0",\n  "scripts": {"search": "x"}\n}'],
    ["a list of names", '[{"name": "Bash", "age": 3}, {"name": "search"}]'],
    ["Python lists", 'The values are [1, 2, 3], [search] and\n[x for x in y]\n["a", "b"]\n[link](http://x)'],
    ["an undeclared name", '<tool_call>\n{"name": "rm_rf", "arguments": {"path": "/"}}\n</tool_call>'],
    ["an undeclared function", "<function=format>\n<parameter=disk>\nc\n</parameter>\n</function>"],
    ["a missing argument", '<tool_call>{"name": "Write", "arguments": {"file_path": "a"}}</tool_call>'],
    ["a wrong type", '<tool_call>{"name": "Bash", "arguments": {"command": "ls", "timeout": "soon"}}</tool_call>'],
    ["a longer name", 'Bashful(command="x")\nsearching("y")\nsearch (the web) is good'],
    ["code that calls", '```python\nsearch(query="x")\n```'],
    [
      "a cut value",
      "<tool_call>\n<function=Write>\n<parameter=file_path>\na\n</parameter>\n<parameter=content>\n" + call,
    ],
    ["JSON in the line", "The call " + call],
  ])("%s", (_name, text) => {
    for (const pieces of [recover([text]), recover(text.split(""))]) {
      expect(callsOf(pieces)).toEqual([]);
      expect(textOf(pieces)).toBe(text);
    }
  });

  test("a tag in prose is given out as soon as nothing of a call follows", () => {
    const recovery = new CallRecovery(vocabulary);
    const pushed = ["The <tool_call> tag ", "is used for ", "calls"].flatMap((piece) =>
      recovery.push("text", asByteText(piece)),
    );
    expect(textOf(pushed)).toBe("The <tool_call> tag is used for calls");
    expect(textOf(recovery.push("text", asByteText(" <div class=")))).toBe(" <div class=");
    expect(textOf(recovery.push("text", asByteText("\n<function=nothing> ")))).toBe("\n<function=nothing> ");
  });
});

test("a call is given as soon as it is whole, text behind it too", () => {
  const recovery = new CallRecovery(vocabulary);
  expect(callsOf(recovery.push("text", asByteText(DIALECTS["hermes"]!("Bash", { command: "ls" }))))).toHaveLength(1);
  expect(textOf(recovery.push("text", asByteText("\nDone. ")))).toBe("\nDone. ");
});

test("a call in reasoning is made, and not again in the text", () => {
  const recovery = new CallRecovery(vocabulary);
  const call = asByteText(DIALECTS["hermes"]!("Bash", { command: "ls" }));
  const reasoned = recovery.push("reasoning", asByteText(`I look.\n${call}`));
  expect(callsOf(reasoned)).toHaveLength(1);
  expect(reasoned[0]).toEqual({ type: "reasoning", text: "I look.\n" });
  // Twice in the text, it is meant twice: one of them is the one in the reasoning.
  expect(callsOf([...recovery.push("text", asByteText(`${call}\n${call}`)), ...recovery.end(false)])).toHaveLength(1);
});

test("the end of thinking that stands in the text stays there behind a call", () => {
  const call = DIALECTS["hermes"]!("Bash", { command: "ls" });
  const out = recover([`<think>\nI look.\n${call}\n</think>\nDone.`]);
  expect(callsOf(out)).toHaveLength(1);
  expect(textOf(out)).toBe("<think>\nI look.\n\n</think>\nDone.");
  expect(textOf(recover([`${call}\n</think>\nDone.`]))).not.toContain("think");
});

test("a turn's end in reasoning does not end the text", () => {
  const recovery = new CallRecovery(vocabulary);
  const call = DIALECTS["hermes"]!("Bash", { command: "ls" });
  recovery.push("reasoning", asByteText(`${call}<|im_end|>`));
  expect(textOf([...recovery.push("text", asByteText("Hello.")), ...recovery.end(false)])).toBe("Hello.");
});

test("integers beyond 2^53 keep their digits", () => {
  const text =
    '<tool_call>{"name": "Bash", "arguments": {"command": "x", "timeout": 9007199254740993, "background": "true"}}</tool_call>';
  const [call] = recover([text]);
  expect(call).toEqual({
    type: "call",
    name: "Bash",
    arguments: '{"command":"x","timeout":9007199254740993,"background":true}',
    repair: "arguments",
    whole: true,
  });
});

test.each([
  ["marks", "<tool_call>"],
  ["openers", '{"name":\n'],
  ["calls begun", '<tool_call>{"name": "Bash", "arguments": {"command": "'],
  ["parameters", "<function=Bash>\n<parameter=command>\n"],
  ["brackets", "["],
  ["braces", "{"],
  ["fences", "```\n"],
  ["lines", "{\n"],
  ["quotes", '<tool_call>{"'],
  ["backslashes", "\\"],
  ["tags", "<a "],
  ["keys", '{"name": "Bash", "arguments": {"a": '],
  ["backslashes in a value", '<tool_call>{"name": "Bash", "arguments": {"command": "\\\\'],
  ["tokens", "<|tool_call_begin|>"],
  ["values", "<function=Bash><parameter=command>a</parameter>x"],
  ["python", "Bash(command=\n"],
  ["spaces", "<tool_call>          "],
  ["closings", "</function>\n"],
])("200 KB of %s take no long time", (_name, unit) => {
  const text = unit.repeat(Math.ceil(200_000 / unit.length));
  const pieces = text.match(/[\s\S]{1,16}/g)!;
  const started = performance.now();
  expect(textOf(recover([text]))).toBe(text);
  expect(textOf(recover(pieces))).toBe(text);
  expect(performance.now() - started).toBeLessThan(5000);
});

test("what is held is bounded, and given back", () => {
  const recovery = new CallRecovery(vocabulary);
  const piece = asByteText("x".repeat(50_000));
  let given = textOf(recovery.push("text", asByteText("<tool_call>\n<function=Bash>\n<parameter=command>\n")));
  let most = 0;
  for (let i = 0; i < 40; i++) {
    given += textOf(recovery.push("text", piece));
    most = Math.max(most, recovery.memory);
  }
  expect(most).toBeLessThanOrEqual(1_000_000);
  expect(given.length).toBeGreaterThan(1_900_000);
  expect(callsOf(recovery.end(false))).toEqual([]);
});

test("without tools nothing is held", () => {
  const recovery = new CallRecovery(new CallVocabulary([]));
  expect(textOf(recovery.push("text", asByteText("<tool_call>\n<function=")))).toBe("<tool_call>\n<function=");
});

test("text behind a call without marks is not held back to the message's end", () => {
  const recovery = new CallRecovery(vocabulary);
  const before = 'As in:\n{"name": "Bash", "arguments": {"command": "ls"}}\n';
  const shown = [before, ...Array<string>(30).fill(`${"word ".repeat(20)}\n`)].flatMap((piece) =>
    recovery.push("text", asByteText(piece)),
  );
  expect(callsOf(shown)).toEqual([]);
  expect(textOf(shown)).toContain(`${before}word word`);
});

test("a draft without marks in reasoning counts only at the reasoning's end", () => {
  const draft = asByteText('{"name": "Bash", "arguments": {"command": "ls"}}');
  const recovery = new CallRecovery(vocabulary);
  const out = [
    ...recovery.push("reasoning", asByteText(`${draft}\nOr not.`)),
    ...recovery.push("text", asByteText("No.")),
  ];
  expect(callsOf([...out, ...recovery.end(false)])).toEqual([]);
  expect(textOf(out)).toBe(`${draft}\nOr not.No.`);
});
