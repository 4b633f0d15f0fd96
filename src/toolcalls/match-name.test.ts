import { expect, test } from "vitest";
import { matchKeys, matchName } from "./match-name.ts";

const properties = { query: { type: "string" } };
const names = ["search", "read", "Read", "todowrite", "pr-view", "function", "exec", "grep_tool"];
const tools = names.map((name) => ({ name, schema: { properties, required: ["query"] } }));

test.each([
  ["search", "search"],
  ["Read", "Read"],
  ["Search", "search"],
  ["functions.search", "search"],
  ["functions.search:12", "search"],
  ["functionsexec5", "exec"],
  ["searchsearch", "search"],
  ["search</arg_value>", "search"],
  ["search<|channel|>commentary", "search"],
  ["todo_write", "todowrite"],
  ["pr_view", "pr-view"],
  ["grep_toolquery", "grep_tool"],
  ["server.search", "search"],
  ["function", "function"],
])("%s means %s", (written, name) => {
  expect(matchName(written, tools)?.tool.name).toBe(name);
});

test.each(["READ", "read_file", "readme", "searching", "rm_rf", "", '"}', " ", "sea"])("%s means none", (written) => {
  expect(matchName(written, tools)).toBeUndefined();
});

test("keys name a tool only when no other has them", () => {
  expect(matchKeys(["query"], tools)).toBeUndefined();
  expect(matchKeys(["query"], tools.slice(0, 1))?.name).toBe("search");
  expect(matchKeys(["query", "more"], tools.slice(0, 1))).toBeUndefined();
});
