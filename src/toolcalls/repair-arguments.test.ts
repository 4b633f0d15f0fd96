import { expect, test } from "vitest";
import type { JsonObject } from "../conversation/request.ts";
import type { DeclaredTool } from "./declared-tool.ts";
import { CallVocabulary } from "./declared-tool.ts";
import { repairArguments } from "./repair-arguments.ts";
import { repairCall } from "./repair-call.ts";

const TEXT = { type: "string" };
const bash = tool(
  "Bash",
  { command: TEXT, timeout: { type: "integer" }, background: { type: "boolean" }, note: { type: ["string", "null"] } },
  ["command"],
);
const write = tool("Write", { file_path: TEXT, content: TEXT }, ["file_path", "content"]);
const todo = tool("Todo", { todos: { type: "array", items: { $ref: "#/$defs/todo" } } }, ["todos"]);
todo.schema["$defs"] = { todo: { type: "object", properties: { done: { type: "boolean" } } } };

const either = tool(
  "Either",
  {
    share: { type: "number" },
    value: { anyOf: [TEXT, { type: "integer" }] },
    list: { oneOf: [TEXT, { type: "array" }] },
  },
  ["share"],
);

function tool(name: string, properties: JsonObject, required: string[]): DeclaredTool {
  return { name, schema: { type: "object", properties, required } };
}

test.each([
  [bash, '{ "command" : "ls",\n "timeout": 9007199254740993 }'],
  [bash, '{"command": "false", "note": "null"}'],
  [bash, '{"command":"\\u00e9\\/"}'],
  [either, '{"share":1,"value":5,"list":["a"]}'],
  [either, '{"share":0.5,"value":"5","list":"a"}'],
])("valid ones stay as they came: %o %s", (declared, text) => {
  expect(repairArguments(text, declared)).toEqual({ arguments: text, repaired: false });
});

test.each([
  ["a boolean as text", bash, '{"command":"true","background":"False"}', '{"command":"true","background":false}'],
  ["a number under text", bash, '{"command": 12345678901234567890}', '{"command":"12345678901234567890"}'],
  [
    "digits beyond doubles",
    bash,
    '{"command":"x","timeout":"9007199254740993"}',
    '{"command":"x","timeout":9007199254740993}',
  ],
  ["null for what may be absent", bash, '{"command":"x","timeout":null,"note":null}', '{"command":"x","note":null}'],
  ["a list as text, inner types too", todo, '{"todos":"[{\\"done\\":\\"true\\"}]"}', '{"todos":[{"done":true}]}'],
  ["an object as a text", write, '{"file_path":"a","content":{"b":1}}', '{"file_path":"a","content":"{\\"b\\":1}"}'],
  ["doubly encoded", bash, '"{\\"command\\":\\"ls\\"}"', '{"command":"ls"}'],
  ["aliases", write, '{"path":"a","text":"b"}', '{"file_path":"a","content":"b"}'],
  ["other letters", write, '{"filePath":"a","Content":"b"}', '{"file_path":"a","content":"b"}'],
  ["missing closers", bash, '{"command":"ls"', '{"command":"ls"}'],
  ["raw line breaks", bash, '{"command":"a\nb\tc"}', '{"command":"a\\nb\\tc"}'],
  ["equal ones glued", bash, '{"command":"ls"}{"command":"ls"}', '{"command":"ls"}'],
  [
    "quotes in the last text",
    write,
    '{"file_path":"a","content":"f("x", "y")"}',
    '{"file_path":"a","content":"f(\\"x\\", \\"y\\")"}',
  ],
  ["plain text for the only one", bash, "ls -R\n", '{"command":"ls -R"}'],
])("%s", (_name, declared, text, expected) => {
  expect(repairArguments(text, declared)).toEqual({ arguments: expected, repaired: true });
});

test.each([
  ["a missing required one", write, '{"file_path":"a"}'],
  ["nothing", bash, ""],
  ["an empty object", bash, "{}"],
  ["cut in a string", bash, '{"command":"ls'],
  ["cut in a string behind a brace", write, '{"file_path":"a","content":"{\\"k\\": \\"v\\"}'],
  ["cut in a string with raw quotes", write, '{"file_path":"a","content":"{"k": "v"}'],
  ["cut in a number", bash, '{"command":"x","timeout":12'],
  ["a text that is no number", bash, '{"command":"x","timeout":"soon"}'],
  ["a list for a text", bash, '{"command":["ls"]}'],
  ["null for a required one", bash, '{"command":null}'],
  ["two that could be meant", write, '{"path":"a","filename":"b","content":"c"}'],
  ["words behind them", bash, '{"command":"ls"} and then'],
  ["different ones glued", bash, '{"command":"a"}{"command":"b"}'],
  ["quotes before another member", bash, '{"command":"echo "x"","note":"b"}'],
  ["too deep", bash, `{"command":${"[".repeat(5000)}`],
])("refuses %s", (_name, declared, text) => {
  expect(repairArguments(text, declared)).toBeUndefined();
});

test("glued arguments are several calls", () => {
  const made = repairCall("bash", '{"command":"a"}{"command":"b"}{"command":"a"}', new CallVocabulary([bash]));
  expect(made?.map((call) => call.arguments)).toEqual(['{"command":"a"}', '{"command":"b"}']);
  const words = '{"command":"a"}{"command":"b"} and then';
  expect(repairCall("bash", words, new CallVocabulary([bash]))).toBeUndefined();
});

test("schemas that refer to each other many times over end all the same", () => {
  const many = (name: string) => Array.from({ length: 10 }, () => ({ $ref: `#/$defs/${name}` }));
  for (const $defs of [
    { a: { allOf: many("a") } },
    { a: { allOf: many("b") }, b: { anyOf: many("a") } },
    { a: { anyOf: [{ $ref: "#/$defs/b" }, TEXT] }, b: { anyOf: [{ $ref: "#/$defs/a" }, TEXT] } },
  ]) {
    const declared = tool("Odd", { odd: { $ref: "#/$defs/a" } }, ["odd"]);
    declared.schema["$defs"] = $defs;
    expect(repairArguments('{"odd":"x"}', declared)).toEqual({ arguments: '{"odd":"x"}', repaired: false });
  }
});
