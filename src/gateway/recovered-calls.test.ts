import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toByteText } from "../conversation/byte-text.ts";
import type { StreamEvent } from "../conversation/stream-event.ts";
import { CallVocabulary } from "../toolcalls/call-recovery.ts";
import { RecoveredCalls } from "./recovered-calls.ts";

const vocabulary = new CallVocabulary([
  {
    name: "Bash",
    schema: {
      type: "object",
      properties: { command: { type: "string" }, background: { type: "boolean" } },
      required: ["command"],
    },
  },
]);
const CALL = '<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>';
const text = (words: string): StreamEvent => ({ type: "text-delta", text: toByteText(words) });
const start = (index: number, id: string): StreamEvent => ({ type: "tool-call-start", index, id, name: "Bash" });
const args = (index: number, json: string): StreamEvent => ({
  type: "tool-call-delta",
  index,
  arguments: toByteText(json),
});
const stop: StreamEvent = { type: "finish", reason: "stop" };

/** Runs events through, one read each, and puts neighbouring deltas together. */
function through(events: readonly StreamEvent[], repairs = false, onlyOne = false): unknown[] {
  const kinds: string[] = [];
  const recovered = new RecoveredCalls({ vocabulary, repairs, onlyOne, onRecovered: (kind) => kinds.push(kind) });
  const out: [string, ...unknown[]][] = [];
  for (const event of events.flatMap((each) => recovered.push([each]))) {
    const last = out.at(-1);
    if (event.type === "text-delta" && last?.[0] === "text") last[1] += event.text;
    else if (event.type === "text-delta") out.push(["text", event.text]);
    else if (event.type === "tool-call-start") out.push(["call", event.index, event.name, ""]);
    else if (event.type === "tool-call-delta") {
      expect(last?.slice(0, 2)).toEqual(["call", event.index]);
      last![3] += event.arguments;
    } else if (event.type === "finish") out.push(["finish", event.reason]);
    else out.push([event.type]);
  }
  return [...out, ...kinds.map((kind) => ["recovered", kind])];
}

describe("calls in an engine's events", () => {
  it("are numbered together, whether the engine knew them or not", () => {
    expect(through([text(CALL), start(0, "a"), args(0, '{"command"'), args(0, ':"pwd"}'), text(CALL), stop])).toEqual([
      ["call", 0, "Bash", '{"command": "ls"}'],
      ["call", 1, "Bash", '{"command":"pwd"}'],
      ["call", 2, "Bash", '{"command": "ls"}'],
      ["finish", "tool-calls"],
      ["recovered", "dialect"],
      ["recovered", "dialect"],
    ]);
  });

  it("are one where the client takes no more", () => {
    const one = [
      ["call", 0, "Bash", '{"command": "ls"}'],
      ["finish", "tool-calls"],
      ["recovered", "dialect"],
    ];
    expect(through([text(`${CALL}\n${CALL}`), stop], false, true)).toEqual(one);
    expect(through([text(CALL), text("\n"), text(CALL), stop], false, true)).toEqual(one);
  });

  it("do not let text behind one that is still doubtful pass before it", () => {
    const doubtful = '{"name": "Bash", "arguments": {"command": "ls"}}';
    expect(through([text(`So:\n${doubtful}\n`), text("That"), text(" was"), text(" it."), stop])).toEqual([
      ["text", `So:\n${doubtful}\nThat was it.`],
      ["finish", "stop"],
    ]);
  });

  it("are to be run where a stop sequence stands behind them, and not where it cut them", () => {
    const stopped: StreamEvent = { type: "finish", reason: "stop-sequence", stopSequence: "Observation:" };
    expect(through([text(`${CALL}\n`), stopped]).slice(0, 2)).toEqual([
      ["call", 0, "Bash", '{"command": "ls"}'],
      ["finish", "tool-calls"],
    ]);
    const cut = '<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"';
    expect(through([text(cut), stopped])).toContainEqual(["finish", "stop-sequence"]);
    expect(through([text(`${CALL}\n${cut}`), stopped])).toEqual([
      ["call", 0, "Bash", '{"command": "ls"}'],
      ["finish", "tool-calls"],
      ["recovered", "dialect"],
    ]);
    const tagged = "<tool_call>\n<function=Bash>\n<parameter=command>\nls\n</parameter>\n";
    expect(through([text(tagged), stopped])).toContainEqual(["finish", "stop-sequence"]);
    expect(through([text(`${tagged}</function>\n`), stopped])).toContainEqual(["finish", "tool-calls"]);
  });

  it("are to be run where nothing told that they are calls but the stop sequence behind them", () => {
    const stopped: StreamEvent = { type: "finish", reason: "stop-sequence", stopSequence: "Observation:" };
    expect(through([text('So:\n{"name": "Bash", "arguments": {"command": "ls"}}\n'), stopped]).slice(0, 3)).toEqual([
      ["text", "So:\n"],
      ["call", 0, "Bash", '{"command": "ls"}'],
      ["finish", "tool-calls"],
    ]);
  });

  it("are the same whatever the pieces of text are", () => {
    const written = `Look: a < b\n\n${CALL}\nand so [1, 2]\n`;
    const whole = through([text(written), stop]);
    expect(whole).toContainEqual(["call", 0, "Bash", '{"command": "ls"}']);
    fc.assert(
      fc.property(fc.array(fc.nat(written.length), { maxLength: 12 }), (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), written.length];
        const pieces = places.slice(1).map((end, index) => text(written.slice(places[index], end)));
        expect(through([...pieces, stop])).toEqual(whole);
      }),
    );
  });

  it("that are held back when the answer fails are nobody's", () => {
    const error = { type: "error", error: new Error("cut") } as unknown as StreamEvent;
    expect(through([text("So. "), text(CALL.slice(0, 30)), error])).toEqual([["text", "So. "], ["error"]]);
  });

  it("that are held back when the gateway ends the answer are shown as they are", () => {
    const recovered = new RecoveredCalls({ vocabulary, repairs: false, onlyOne: false, onRecovered() {} });
    expect(recovered.push([text(CALL.slice(0, 30))])).toEqual([]);
    expect(recovered.cut()).toEqual([text(CALL.slice(0, 30))]);
  });

  it("of the engine's own stream as they come, and are mended only where that is wished", () => {
    const wrong = '{"command":"ls","background":"true"}';
    const events = [
      start(0, "a"),
      args(0, wrong.slice(0, 9)),
      args(0, wrong.slice(9)),
      { ...stop, reason: "tool-calls" } as StreamEvent,
    ];
    expect(through(events)).toEqual([
      ["call", 0, "Bash", wrong],
      ["finish", "tool-calls"],
    ]);
    expect(through(events, true)).toEqual([
      ["call", 0, "Bash", expect.stringMatching(/"background": ?true/)],
      ["finish", "tool-calls"],
      ["recovered", "arguments"],
    ]);
  });

  it("that cannot be mended, or were cut, go on as they are", () => {
    for (const [json, reason] of [
      ['{"background":true}', "tool-calls"],
      ['{"command":"l', "length"],
      ['{"command":"ls"}', "tool-calls"],
    ] as const) {
      expect(through([start(0, "a"), args(0, json), { type: "finish", reason }], true)).toEqual([
        ["call", 0, "Bash", json],
        ["finish", reason],
      ]);
    }
  });
});
