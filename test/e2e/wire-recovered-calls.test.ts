/** Calls that a model wrote as text, because its engine has no parser for them or the wrong one: to clients they are calls. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningEvener } from "../support/evener.ts";
import { DONE, args, call, finish, role, say, think, usage } from "../support/wire-chunks.ts";
import { type WireEngine, startWireEngine } from "../support/wire-engine.ts";
import {
  WIRES,
  type WireName,
  ask,
  post,
  readWhole,
  request,
  startWithConfig,
  stream,
} from "../support/wire-gateway.ts";
import { startLive } from "../support/wire-live.ts";

let engine: WireEngine;
let evener: RunningEvener;

beforeAll(async () => {
  engine = await startWireEngine({ models: ["test-model", "plain-model"], window: 131_072 });
  evener = await startWithConfig(engine.url, { models: { "plain-model": { recover_tool_calls: false } } });
});
afterAll(async () => {
  await evener?.stop();
  await engine?.close();
});
afterEach(() => engine.drop());

const SCHEMA = {
  type: "object",
  properties: { command: { type: "string" }, timeout: { type: "integer" } },
  required: ["command"],
};
const TOOLS: Record<WireName, object> = {
  anthropic: { tools: [{ name: "Bash", description: "Runs", input_schema: SCHEMA }] },
  openai: { tools: [{ type: "function", function: { name: "Bash", description: "Runs", parameters: SCHEMA } }] },
};
const CALL =
  '<tool_call>\n{"name": "Bash", "arguments": {"command": "ls \\"ä\\"", "timeout": 9007199254740993}}\n</tool_call>';
const ARGUMENTS = { command: 'ls "ä"' };
const answer = (...steps: string[]) => [role, ...steps, finish(), usage(40, 9), DONE];

describe("Tool calls written as text", () => {
  describe.each(WIRES)("%s", (wire) => {
    const calls = wire === "anthropic" ? "tool_use" : "tool_calls";

    it("become calls, however the text is split, and what stands before them is shown", async () => {
      for (let size = 1; size < CALL.length; size = size * 2 + 1) {
        const pieces = CALL.match(new RegExp(`[^]{1,${size}}`, "gu")) ?? [];
        engine.next({ steps: answer(say("Let me look.\n\n"), ...pieces.map(say)) });
        const { verdict } = await stream(evener, wire, TOOLS[wire]);
        expect(verdict).toMatchObject({ problems: [], end: "finish", reason: calls });
        expect(verdict.text.trim()).toBe("Let me look.");
        expect(verdict.calls).toMatchObject([{ name: "Bash" }]);
        expect(verdict.calls[0]!.arguments).toContain("9007199254740993");
        expect(JSON.parse(verdict.calls[0]!.arguments)).toMatchObject(ARGUMENTS);
      }
    });

    it("become calls in a whole answer, also out of reasoning", async () => {
      for (const written of [say(CALL), think(`I should look.\n${CALL}`)]) {
        engine.next({ steps: answer(written) });
        const { text, status } = await post(evener, wire, ask(TOOLS[wire]));
        expect(status).toBe(200);
        expect(readWhole(wire, text)).toMatchObject({ reason: calls, calls: [{ name: "Bash" }] });
      }
    });

    it("stand beside the engine's own", async () => {
      engine.next({
        steps: [
          role,
          say(CALL),
          call(0, "Bash"),
          args(0, '{"command":"pwd"}'),
          finish("tool_calls"),
          usage(40, 9),
          DONE,
        ],
      });
      const { verdict } = await stream(evener, wire, TOOLS[wire]);
      expect(verdict.problems).toEqual([]);
      expect(verdict.calls.map((each) => (JSON.parse(each.arguments) as { command: string }).command)).toEqual([
        'ls "ä"',
        "pwd",
      ]);
    });

    it("stay text where no such tool was declared, where none was asked for, and where the model's settings say so", async () => {
      const rows: [string, object][] = [
        [CALL.replace("Bash", "Shell"), TOOLS[wire]],
        [CALL, {}],
        [CALL, { ...TOOLS[wire], tool_choice: wire === "anthropic" ? { type: "none" } : "none" }],
        [CALL, { ...TOOLS[wire], model: "plain-model" }],
        ["To call a tool write `<tool_call>` and then JSON.", TOOLS[wire]],
      ];
      for (const [text, more] of rows) {
        engine.next({ steps: answer(say(text)) });
        const { verdict } = await stream(evener, wire, more);
        expect(verdict).toMatchObject({ problems: [], text, calls: [], end: "finish" });
      }
    });

    it("are not made of what max_tokens cut", async () => {
      const half = CALL.slice(0, -40);
      engine.next({ steps: [role, say(half), finish("length"), usage(40, 9), DONE] });
      const { verdict } = await stream(evener, wire, TOOLS[wire]);
      expect(verdict).toMatchObject({ problems: [], text: half, calls: [] });
    });

    it("are counted", async () => {
      engine.next({ steps: answer(say(CALL)) });
      await post(evener, wire, ask(TOOLS[wire]));
      const { text } = await request(evener, "/metrics", { method: "GET" });
      expect(text).toMatch(/evener_recovered_calls_total\{model="test-model",repair="dialect"\} [1-9]/);
    });

    it("hold no other text back", async () => {
      let open = (): void => {};
      const opened = new Promise<void>((resolve) => (open = resolve));
      engine.next({
        steps: [
          role,
          say("#include <vector>\nif (a < b) {"),
          { until: opened },
          say(" x; }"),
          finish(),
          usage(40, 9),
          DONE,
        ],
      });
      const live = startLive(evener, wire, TOOLS[wire]);
      await live.saw("if (a < b) {");
      open();
      expect((await live.answer).status).toBe(200);
    });
  });
});
