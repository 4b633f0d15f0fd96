/** The answer as a whole: what the events of one stream add up to. Non-streaming clients get this, encoded by their wire. */
import { type ByteText, asByteText } from "./byte-text.ts";
import type { FinishEvent, StreamEvent } from "./stream-event.ts";

export type AnswerBlock =
  | { type: "reasoning"; text: ByteText }
  | { type: "text"; text: ByteText }
  | { type: "tool-call"; id: string; name: string; arguments: ByteText };

export type Answer = { blocks: AnswerBlock[]; finish: FinishEvent };

/** Folds stream events into blocks, in the order in which the model wrote them. Terminal events are not its business. */
export class AnswerFold {
  readonly blocks: AnswerBlock[] = [];

  add(event: StreamEvent): void {
    switch (event.type) {
      case "reasoning-delta":
        this.#append("reasoning", event.text);
        break;
      case "text-delta":
        this.#append("text", event.text);
        break;
      case "tool-call-start":
        this.blocks.push({ type: "tool-call", id: event.id, name: event.name, arguments: asByteText("") });
        break;
      case "tool-call-delta": {
        const last = this.blocks.at(-1);
        if (last?.type !== "tool-call") throw new Error("a tool call's arguments came before its start");
        last.arguments = asByteText(last.arguments + event.arguments);
        break;
      }
      case "finish":
      case "error":
        break;
    }
  }

  #append(type: "reasoning" | "text", text: ByteText): void {
    const last = this.blocks.at(-1);
    if (last?.type === type) last.text = asByteText(last.text + text);
    else this.blocks.push({ type, text });
  }
}
