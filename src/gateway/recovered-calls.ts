/**
 * Between an engine's events and the client: calls that the model wrote as text, because the engine has no parser for them or has the wrong
 * one, become calls; where a model's settings ask for it, the engine's own are mended. toolcalls/ knows how; this knows the events of one answer.
 */
import { type ByteText, asByteText, fromByteText, toByteText } from "../conversation/byte-text.ts";
import type { Config } from "../config/schema.ts";
import type { ChatRequest } from "../conversation/request.ts";
import type { FinishEvent, StreamEvent } from "../conversation/stream-event.ts";
import { newCallId } from "../engine/tool-call-assembler.ts";
import { CallRecovery, CallVocabulary, type RecoveredPiece, type RepairKind } from "../toolcalls/call-recovery.ts";
import { repairCall } from "../toolcalls/repair-call.ts";

/** What to look for in an answer, and who is told of every call that was found or mended. */
export type RecoveryPlan = {
  vocabulary: CallVocabulary;
  /** Whether the engine's own calls are held back until they are whole, and mended. */
  repairs: boolean;
  /** Whether the client takes one call an answer: others that are found are left out, as vLLM leaves out those that its parser finds. */
  onlyOne: boolean;
  onRecovered(repair: RepairKind): void;
};

/** Undefined where no call can be the answer, or the model's settings want none to be looked for. */
export function recoveryOf(
  { tools, toolChoice, parallelToolCalls }: ChatRequest,
  own: Config["models"][string] | undefined,
  onRecovered: RecoveryPlan["onRecovered"],
): RecoveryPlan | undefined {
  if (tools.length === 0 || toolChoice?.type === "none" || own?.recover_tool_calls === false) return undefined;
  const functions = tools.filter((tool) => tool.type === "function");
  if (functions.length === 0) return undefined;
  return {
    vocabulary: new CallVocabulary(functions),
    repairs: own?.repair_tool_calls ?? false,
    onlyOne: parallelToolCalls === false,
    onRecovered,
  };
}

export class RecoveredCalls {
  readonly #plan: RecoveryPlan;
  #recovery: CallRecovery;
  /** A call of the engine's that is held back to be mended; its arguments are bytes. */
  #held: { id: string; name: string; arguments: string } | undefined;
  /** Calls so far, the engine's own and those found here: they are numbered together. */
  #calls = 0;
  #found = false;
  /** Whether one was found that the model wrote to its end. */
  #whole = false;
  /** A stop sequence ended the answer. */
  #stopped = false;

  constructor(plan: RecoveryPlan) {
    this.#plan = plan;
    this.#recovery = new CallRecovery(plan.vocabulary);
  }

  /** What becomes of one read's events. Text is held back while it may still be a call. */
  push(events: readonly StreamEvent[]): readonly StreamEvent[] {
    const out: StreamEvent[] = [];
    for (const event of events) this.#take(event, out);
    return out;
  }

  /** What is held back, when the gateway ends the answer by itself. */
  cut(): readonly StreamEvent[] {
    const out: StreamEvent[] = [];
    this.#end(true, out);
    return out;
  }

  #take(event: StreamEvent, out: StreamEvent[]): void {
    switch (event.type) {
      case "text-delta":
      case "reasoning-delta": {
        this.#giveHeld(false, out);
        const channel = event.type === "text-delta" ? "text" : "reasoning";
        if (this.#recovery.passes(channel, event.text)) out.push(event);
        else this.#give(this.#recovery.push(channel, event.text), out);
        return;
      }
      case "tool-call-start":
        this.#end(false, out);
        this.#recovery = new CallRecovery(this.#plan.vocabulary);
        if (this.#plan.repairs) this.#held = { id: event.id, name: event.name, arguments: "" };
        else out.push({ ...event, index: this.#calls++ });
        return;
      case "tool-call-delta":
        if (this.#held !== undefined) this.#held.arguments += event.arguments;
        else out.push({ ...event, index: this.#calls - 1 });
        return;
      case "finish": {
        this.#stopped = event.reason === "stop-sequence";
        this.#end(event.reason !== "stop" && event.reason !== "tool-calls", out);
        // A stop sequence may well stand behind a whole call. What one cut is not run.
        const calls = this.#stopped ? this.#whole : this.#found;
        out.push(calls ? asCalling(event) : event);
        return;
      }
      case "error":
        // What is held back nobody has seen: the answer may still be asked for again.
        out.push(event);
    }
  }

  #end(cut: boolean, out: StreamEvent[]): void {
    this.#giveHeld(cut, out);
    this.#give(this.#recovery.end(cut), out);
  }

  /** What was cut, or cannot be mended, goes on as it is: the client's own check answers the model. */
  #giveHeld(cut: boolean, out: StreamEvent[]): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    const written = asByteText(held.arguments);
    const calls = cut ? undefined : repairCall(held.name, fromByteText(written), this.#plan.vocabulary);
    if (calls === undefined || !calls.some(({ repaired }) => repaired)) {
      this.#call(held.id, held.name, written, out);
      return;
    }
    for (const [place, call] of calls.entries())
      this.#call(place === 0 ? held.id : newCallId(), call.name, toByteText(call.arguments), out);
    this.#plan.onRecovered("arguments");
  }

  #give(pieces: readonly RecoveredPiece[], out: StreamEvent[]): void {
    for (const piece of pieces) {
      if (piece.type === "call") {
        if (this.#plan.onlyOne && this.#calls > 0) continue;
        // Beside a whole one it would be run as well.
        if (this.#stopped && !piece.whole && this.#whole) continue;
        this.#call(newCallId(), piece.name, piece.arguments, out);
        this.#found = true;
        this.#whole ||= piece.whole;
        this.#plan.onRecovered(piece.repair);
      } else out.push({ type: piece.type === "text" ? "text-delta" : "reasoning-delta", text: piece.text });
    }
  }

  #call(id: string, name: string, text: ByteText, out: StreamEvent[]): void {
    const index = this.#calls++;
    out.push({ type: "tool-call-start", index, id, name });
    out.push({ type: "tool-call-delta", index, arguments: text });
  }
}

/** An engine that saw no call says that the answer is over; with one, the client is to run it. */
function asCalling(event: FinishEvent): FinishEvent {
  const over = event.reason === "stop" || event.reason === "stop-sequence";
  return over ? { type: "finish", reason: "tool-calls" } : event;
}
