/**
 * Encodes one streamed answer as Anthropic's events. Blocks are strictly one after another, and none is opened before
 * its first character is there: clients refuse a delta that does not fit its block.
 */
import { type ByteText, asByteText, toByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext, StreamEncoder } from "../../conversation/codec.ts";
import type { FinishEvent, StreamEvent } from "../../conversation/stream-event.ts";
import { jsonText, namedFrame } from "../sse-frame.ts";
import { streamErrorBody } from "./encode-error.ts";
import { messageHead, stopFields, usageJson } from "./encode-message.ts";
import { toolUseIds } from "./tool-use-id.ts";

type Block = "thinking" | "text" | "tool_use";

const NOTHING = asByteText("");
const PING = namedFrame("ping", '{"type":"ping"}');

/** Blocks as they start, and their deltas up to the JSON string. */
const TEXT_BLOCK = '{"type":"text","text":""}';
const TEXT_DELTA = '{"type":"text_delta","text":';
const THINKING_BLOCK = '{"type":"thinking","thinking":"","signature":""}';
const THINKING_DELTA = '{"type":"thinking_delta","thinking":';
const INPUT_DELTA = '{"type":"input_json_delta","partial_json":';

export function createStreamEncoder(context: AnswerContext): StreamEncoder {
  const newToolUseId = toolUseIds(context);
  let started = false;
  let ended = false;
  let open: Block | undefined;
  let index = -1;
  let hasToolUse = false;
  /** Everything of the open block's deltas up to the JSON string that differs. */
  let deltaHead = "";
  /** Text of the open thinking block, which its signature covers. */
  let thinking = "";

  function start(): string {
    started = true;
    const message = `{${messageHead(context)},"content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":${usageJson(context.usage.usage)}}`;
    return namedFrame("message_start", `{"type":"message_start","message":${message}}`);
  }

  /** Closes the open block and opens the next. */
  function begin(block: Block, contentBlock: string, delta: string): string {
    const before = (started ? "" : start()) + close();
    index += 1;
    open = block;
    deltaHead = `event: content_block_delta\ndata: {"type":"content_block_delta","index":${index},"delta":${delta}`;
    const opening = `{"type":"content_block_start","index":${index},"content_block":${contentBlock}}`;
    return before + namedFrame("content_block_start", opening);
  }

  /**
   * A thinking block stays open until something follows it: Claude Code takes an answer that failed after a complete
   * thinking block for one that it must not ask for again.
   */
  function close(): string {
    if (open === undefined) return "";
    let frames = "";
    if (open === "thinking") {
      const signature = JSON.stringify(context.signReasoning(asByteText(thinking), context.servedModel));
      const delta = `{"type":"signature_delta","signature":${signature}}`;
      frames = namedFrame("content_block_delta", `{"type":"content_block_delta","index":${index},"delta":${delta}}`);
      thinking = "";
    }
    open = undefined;
    return frames + namedFrame("content_block_stop", `{"type":"content_block_stop","index":${index}}`);
  }

  function delta(text: ByteText): ByteText {
    return asByteText(`${deltaHead}${JSON.stringify(text)}}}\n\n`);
  }

  function finish(event: FinishEvent): ByteText {
    const before = (started ? "" : start()) + close();
    ended = true;
    const stop = `{"type":"message_delta","delta":{${stopFields(event, hasToolUse)}},"usage":${usageJson(context.usage.usage)}}`;
    return asByteText(
      before + namedFrame("message_delta", stop) + namedFrame("message_stop", '{"type":"message_stop"}'),
    );
  }

  function thinkingDelta(text: ByteText): ByteText {
    const before = open === "thinking" ? "" : begin("thinking", THINKING_BLOCK, THINKING_DELTA);
    thinking += text;
    return asByteText(before + delta(text));
  }

  function toolUse(id: string, name: string): ByteText {
    hasToolUse = true;
    return asByteText(
      begin("tool_use", `{"type":"tool_use","id":"${id}","name":${jsonText(name)},"input":{}}`, INPUT_DELTA),
    );
  }

  function encode(event: StreamEvent): ByteText {
    if (ended) throw new Error(`a ${event.type} event came after the end of the stream`);
    switch (event.type) {
      case "text-delta":
        if (event.text === "") return NOTHING;
        if (open === "text") return delta(event.text);
        return asByteText(begin("text", TEXT_BLOCK, TEXT_DELTA) + delta(event.text));
      case "reasoning-delta":
        return event.text === "" ? NOTHING : thinkingDelta(event.text);
      case "tool-call-start":
        return toolUse(newToolUseId(event.id, event.index), event.name);
      case "tool-call-delta":
        if (open !== "tool_use") throw new Error("a tool call's arguments came before its start");
        return event.arguments === "" ? NOTHING : delta(event.arguments);
      case "error":
        ended = true;
        return namedFrame("error", toByteText(streamErrorBody(event.error, context.requestId)));
      default:
        return finish(event);
    }
  }

  return { encode, ping: () => (ended ? NOTHING : PING) };
}
