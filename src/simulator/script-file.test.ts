import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chat, simulate } from "../../test/support/simulator.ts";
import { loadScript, parseScript } from "./script-file.ts";

const SCRIPT = `
rules:
  - when: { userText: "^hello", attempt: 1 }
    answer:
      fault: { kind: http, status: 429, headers: { retry-after: "1" } }
  - when: { userText: "^hello" }
    answer:
      - text: [one, " two"]
        calls: [{ name: read, arguments: { path: a } }]
        usage: doubled
`;

test("a script in YAML plays as it is written", async () => {
  const simulator = await simulate({ script: parseScript(SCRIPT, "script.yaml") });
  const ask = { messages: [{ role: "user", content: "hello" }] };
  const [first, second] = [await chat(simulator, ask).answer, await chat(simulator, ask).answer];
  expect(first.status).toBe(429);
  expect(JSON.parse(second.text).choices[0].message.content).toContain("one two");
});

test("the example in the documentation is a script", () => {
  const guide = readFileSync(new URL("../../docs/simulated-engine.md", import.meta.url), "utf8");
  const example = /```yaml\n([^]*?)```/.exec(guide)?.[1] ?? "";
  expect(parseScript(example, "example")).toHaveLength(4);
});

test.each([
  ["rules: [", /^s is neither YAML nor JSON: /],
  ["rules: *before", /^s is neither YAML nor JSON: .*alias.*before/],
  ["nothing", /^s: the file: /],
  ['{"rules": [{"answer": {"txt": "x"}}]}', /^s: rules\.0\.answer: .*txt/],
  ["rules: [{ when: { userText: '[' }, answer: {} }]", /^s: rules\.0\.when\.userText: is not a regular expression/],
  ["rules: [{ answer: { fault: { kind: explode } } }]", /^s: rules\.0\.answer: /],
  ["rules: [{ times: 0, answer: {} }]", /^s: rules\.0\.times: /],
])("%j is told apart", (text, message) => {
  expect(() => parseScript(text, "s")).toThrow(message);
});

test("a file, a name of a built-in script, or neither", () => {
  const directory = mkdtempSync(join(tmpdir(), "evener-script-"));
  try {
    const path = join(directory, "script.json");
    writeFileSync(path, '{"rules": []}');
    expect(loadScript(path)).toEqual([]);
    expect(loadScript("agent-session")).toBeTypeOf("function");
    expect(() => loadScript(join(directory, "none"))).toThrow(/none: no such file$/);
    expect(() => loadScript(directory)).toThrow(/^cannot read the script /);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
