/**
 * Writes a streamed answer as the events of OpenAI's Responses API, numbered in one sequence.
 *
 * Calls that the token limit cut are announced but never `done`: clients run a call when it is done, and would run half a
 * command. They stand, as incomplete, in the response that ends the stream.
 */
import { type ByteText, asByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext, StreamEncoder } from "../../conversation/codec.ts";
import type { StreamEvent } from "../../conversation/stream-event.ts";
import { callText, itemJson, itemMaker, type OutputItem, partJson } from "./output-item.ts";
import { finalState, type ResponseState, responseWriter } from "./response-object.ts";

export function streamEncoder(context: AnswerContext): StreamEncoder {
  const write = responseWriter(context);
  const make = itemMaker(context);
  const done: string[] = [];
  let open: OutputItem | undefined;
  /** All of a delta event between its number and its text. */
  let place = "";
  let sequence = 0;

  const event = (type: string, members: string): string =>
    `event: ${type}\ndata: {"type":"${type}","sequence_number":${sequence++},${members}}\n\n`;
  const lifecycle = (type: string, state: ResponseState): string =>
    event(type, `"response":${write(state, state.status === "in_progress" ? [] : done)}`);

  function start(): string {
    if (sequence > 0) return "";
    const state: ResponseState = { status: "in_progress" };
    return lifecycle("response.created", state) + lifecycle("response.in_progress", state);
  }

  function begin(item: OutputItem): string {
    open = item;
    place = `"item_id":"${item.id}","output_index":${item.index}${item.kind === "call" ? "" : ',"content_index":0'},`;
    const added = event(
      "response.output_item.added",
      `"output_index":${item.index},"item":${itemJson(item, "in_progress")}`,
    );
    if (item.kind === "call") return added;
    return added + event("response.content_part.added", `${place}"part":${partJson(item, "")}`);
  }

  function close(status: "completed" | "incomplete"): string {
    if (open === undefined) return "";
    const item = open;
    open = undefined;
    const json = itemJson(item, status);
    done.push(json);
    if (item.kind === "call" && status === "incomplete") return "";
    return finished(item) + event("response.output_item.done", `"output_index":${item.index},"item":${json}`);
  }

  function finished(item: OutputItem): string {
    if (item.kind === "call") {
      // The API has no events for what a search is asked: the item that is done says it.
      if (item.tool === "search") return "";
      const text = JSON.stringify(callText(item));
      if (item.tool === "function")
        return event("response.function_call_arguments.done", `${place}"arguments":${text}`);
      // Its text stands inside JSON until the call is whole: one delta brings it.
      return (
        event("response.custom_tool_call_input.delta", `${place}"delta":${text}`) +
        event("response.custom_tool_call_input.done", `${place}"input":${text}`)
      );
    }
    const text = JSON.stringify(item.text);
    const textDone =
      item.kind === "text"
        ? event("response.output_text.done", `${place}"text":${text},"logprobs":[]`)
        : event("response.reasoning_text.done", `${place}"text":${text}`);
    return textDone + event("response.content_part.done", `${place}"part":${partJson(item, item.text)}`);
  }

  /** Goes on in the open item if it is of that kind, as the answer's fold does. */
  function textDelta(kind: "text" | "reasoning", type: string, text: ByteText, rest: string): string {
    let before = "";
    if (open?.kind !== kind)
      before = start() + close("completed") + begin(kind === "text" ? make.text() : make.reasoning());
    open!.text += text;
    return before + event(type, `${place}"delta":${JSON.stringify(text)}${rest}`);
  }

  function encode(each: StreamEvent): string {
    switch (each.type) {
      case "text-delta":
        return textDelta("text", "response.output_text.delta", each.text, ',"logprobs":[]');
      case "reasoning-delta":
        return textDelta("reasoning", "response.reasoning_text.delta", each.text, "");
      case "tool-call-start":
        return start() + close("completed") + begin(make.call(each.id, each.name));
      case "tool-call-delta":
        if (open?.kind !== "call") throw new Error("a tool call's arguments came before its start");
        open.text += each.arguments;
        if (open.tool !== "function") return "";
        return event("response.function_call_arguments.delta", `${place}"delta":${JSON.stringify(each.arguments)}`);
      case "finish": {
        const state = finalState(each.reason);
        const rest = start() + close(state.status === "completed" ? "completed" : "incomplete");
        return rest + lifecycle(`response.${state.status}`, state);
      }
      default: {
        const before = start();
        // What was open ends nowhere: it is in the failed response as far as it came, and no event calls it done.
        if (open !== undefined) done.push(itemJson(open, "incomplete"));
        open = undefined;
        return before + lifecycle("response.failed", { status: "failed", error: each.error });
      }
    }
  }

  return {
    encode: (each) => asByteText(encode(each)),
    // An event, as OpenAI sends it, and no comment: Codex's idle timer counts events. The first of all must be the start.
    ping: () =>
      asByteText(start() || `event: keepalive\ndata: {"type":"keepalive","sequence_number":${sequence++}}\n\n`),
  };
}
