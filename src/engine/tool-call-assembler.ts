/**
 * Puts an engine's tool call deltas in order: which delta belongs to which call, where a call begins and ends.
 *
 * Engines reuse an index for the next call, leave indexes or ids out, repeat a name or send it in pieces, glue the
 * arguments of two calls together, and may interleave calls; the conversation's events know only one call
 * after another. The first open call is streamed as it comes, a later one waits until the first's arguments are complete.
 */
import { randomUUID } from "node:crypto";
import { missingClosers } from "../base/missing-closers.ts";
import { asByteText } from "../conversation/byte-text.ts";
import type { StreamEvent } from "../conversation/stream-event.ts";
import { CALL_MEMORY, PIECE_MEMORY } from "./answer-memory.ts";
import { JsonBalance } from "./json-balance.ts";
import type { TextMode } from "./text-mode.ts";

/** One element of `delta.tool_calls`, nothing of it trusted; arguments that came as an object are JSON text by now. */
export type ToolCallDelta = { index?: unknown; id?: unknown; function?: unknown };

type Call = {
  /** The engine's index. */
  key: number | undefined;
  id: string;
  name: string;
  /** All arguments so far, as bytes. */
  text: string;
  balance: JsonBalance;
  /** The conversation's index; undefined until its start has been sent. */
  index: number | undefined;
  /** Made of what stood behind another call's complete arguments. */
  glued: boolean;
  /** Complete, and something else has been sent since: there is no place left for what an engine adds to it. */
  closed: boolean;
};

export class ToolCallAssembler {
  /** The call that is being streamed. */
  #current: Call | undefined;
  readonly #waiting: Call[] = [];
  readonly #byKey = new Map<number, Call>();
  readonly #ids = new Map<string, Call>();
  #latest: Call | undefined;
  /** The last call that the delta which is being read has named. */
  #named: Call | undefined;
  #started = 0;
  #memory = 0;

  /** Bytes that the calls take here, about. */
  get memory(): number {
    return this.#memory;
  }

  /** Whether any call was sent on. */
  get any(): boolean {
    return this.#started > 0;
  }

  /** Whether a call is being streamed whose arguments are not complete: nothing else may be sent until they are. */
  get streaming(): boolean {
    return this.#current?.index !== undefined && !this.#current.balance.complete;
  }

  /** Something else is about to be sent; not while `streaming`. */
  close(): void {
    if (this.#current?.index !== undefined) this.#current.closed = true;
  }

  /** Takes all that one delta says of calls. */
  addAll(deltas: readonly ToolCallDelta[], mode: TextMode, out: StreamEvent[]): void {
    this.#named = undefined;
    for (const delta of deltas) this.#add(delta, mode, out);
  }

  #add(delta: ToolCallDelta, mode: TextMode, out: StreamEvent[]): void {
    const fn = asFunction(delta.function);
    const id = typeof delta.id === "string" ? mode.text(delta.id) : "";
    const name = typeof fn.name === "string" ? mode.text(fn.name) : "";
    const args = typeof fn.arguments === "string" ? mode.bytes(fn.arguments) : "";
    const key = typeof delta.index === "number" ? delta.index : undefined;

    let call = this.#find(key, id);
    // One delta does not name one call twice. Over several, without index and id, it may be a name in pieces.
    const beside = key === undefined && id === "" && name !== "" && call !== undefined && call === this.#named;
    if (call === undefined || beside || isAnother(call, id, name, args)) call = this.#open(key, id, false);
    else if (name !== "" && call.text === "" && call.name !== name) {
      // In pieces, or each time with all that came before.
      call.name = name.startsWith(call.name) ? name : call.name + name;
      this.#memory += name.length;
    }
    if (call.name === "") {
      call.name = name;
      this.#memory += name.length;
    }
    if (call.id === "" && id !== "" && call.index === undefined) this.#identify(call, id);
    this.#latest = call;
    if (name !== "") this.#named = call;
    this.#append(call, args, out);
  }

  /**
   * The answer is complete: sends what was held back, and the closing braces that a call's arguments lack, where they lack nothing else.
   * `cut` when it ended for length: then nothing is added, and a call without any arguments is left out rather than made up. A call that
   * was never named is nobody's to run: its arguments become text, as some parsers leave a placeholder behind where there is no call.
   */
  finish(cut: boolean, out: StreamEvent[]): void {
    const calls = this.#current === undefined ? this.#waiting : [this.#current, ...this.#waiting];
    let previous: Call | undefined;
    for (const call of calls) {
      if (isRepeat(call, previous)) continue;
      if (call.name === "") {
        if (/[^{}\s]/.test(call.text)) out.push({ type: "text-delta", text: asByteText(call.text) });
        continue;
      }
      if (call.text === "") {
        if (cut) continue;
        call.text = "{}";
        if (call.index !== undefined) throw new Error("a call was started before its arguments came");
      } else if (!cut && !call.balance.complete) this.#take(call, missingClosers(call.text) ?? "", out);
      if (call.index === undefined) this.#start(call, out);
      previous = call;
    }
  }

  #find(key: number | undefined, id: string): Call | undefined {
    if (key !== undefined) return this.#byKey.get(key);
    return this.#ids.get(id) ?? this.#latest;
  }

  #open(key: number | undefined, id: string, glued: boolean): Call {
    const call: Call = {
      key,
      id: "",
      name: "",
      text: "",
      balance: new JsonBalance(),
      index: undefined,
      glued,
      closed: false,
    };
    if (id !== "") this.#identify(call, id);
    if (key !== undefined) this.#byKey.set(key, call);
    this.#memory += CALL_MEMORY;
    this.#waiting.push(call);
    return call;
  }

  /** Gives the call the engine's id, unless another call of this answer has it. */
  #identify(call: Call, id: string): void {
    if (this.#ids.has(id)) return;
    this.#ids.set(id, call);
    this.#memory += id.length;
    call.id = id;
  }

  #append(call: Call, text: string, out: StreamEvent[]): void {
    let target = call;
    let rest = text;
    while (rest !== "") {
      if (target.balance.complete && /^\s*\{/.test(rest)) {
        const next = this.#open(target.key, "", true);
        next.name = target.name;
        this.#latest = next;
        target = next;
      }
      const taken = target.balance.complete ? rest.length : target.balance.push(rest);
      const piece = rest.slice(0, taken);
      rest = rest.slice(taken);
      // White space before arguments is nobody's; it would look like their beginning.
      if (target.text !== "" || piece.trim() !== "") this.#take(target, piece, out);
    }
    this.#advance(out);
  }

  #take(call: Call, piece: string, out: StreamEvent[]): void {
    if (call.closed || piece === "") return;
    call.text += piece;
    this.#memory += piece.length + PIECE_MEMORY;
    if (call.index !== undefined)
      out.push({ type: "tool-call-delta", index: call.index, arguments: asByteText(piece) });
  }

  /** Starts the first call once its name and arguments have begun, and goes to the next when it is complete. */
  #advance(out: StreamEvent[]): void {
    for (;;) {
      const current = (this.#current ??= this.#waiting.shift());
      if (current === undefined) return;
      if (current.index === undefined && current.name !== "" && current.text !== "") this.#start(current, out);
      if (current.index === undefined || !current.balance.complete) return;
      const next = this.#waiting[0];
      if (next === undefined) return;
      if (next.glued && !next.balance.complete) return;
      if (isRepeat(next, current)) {
        this.#waiting.shift();
        continue;
      }
      current.closed = true;
      this.#current = undefined;
    }
  }

  #start(call: Call, out: StreamEvent[]): void {
    if (call.id === "") this.#identify(call, newCallId());
    call.index = this.#started++;
    out.push({ type: "tool-call-start", index: call.index, id: call.id, name: call.name });
    out.push({ type: "tool-call-delta", index: call.index, arguments: asByteText(call.text) });
  }
}

/** An id for a call that has none of its engine's. */
export function newCallId(): string {
  return `call_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
}

/** Whether a delta that found this call is the first of another one. */
function isAnother(call: Call, id: string, name: string, args: string): boolean {
  // Some servers give every delta an id of its own; only a name begins a call.
  if (name === "" || call.name === "") return false;
  if (id !== "" && call.id !== "") return id !== call.id;
  if (call.text === "") return false;
  return name !== call.name || (call.balance.complete && args.trim() !== "");
}

/** The same arguments sent once more at the end are not a second call. */
function isRepeat(call: Call, previous: Call | undefined): boolean {
  return (
    call.glued && previous !== undefined && call.name === previous.name && call.text.trim() === previous.text.trim()
  );
}

function asFunction(value: unknown): { name?: unknown; arguments?: unknown } {
  return typeof value === "object" && value !== null ? value : {};
}
