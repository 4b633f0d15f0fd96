/** The grammar of Anthropic's message streams, checked event by event: order, block types, and what each must carry. */
import { brief, readFrames } from "./wire-sse.ts";
import { emptyVerdict, isCount, isJson, isObject, type Json, type Verdict } from "./wire-verdict.ts";

const STOP_REASONS = new Set(["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"]);
const DELTAS: Record<string, readonly string[]> = {
  text: ["text_delta"],
  thinking: ["thinking_delta", "signature_delta"],
  tool_use: ["input_json_delta"],
};

type Open = { index: number; type: string; signed: boolean };

/** Judges a stream as it was received. Pings may stand anywhere before the end. */
export function judgeAnthropicStream(text: string): Verdict {
  const { frames, problems } = readFrames(text);
  const verdict = emptyVerdict(problems);
  const say = (problem: string): void => void problems.push(problem);
  let started = false;
  let open: Open | undefined;
  let next = 0;
  let delta: Json | undefined;
  let over = false;

  for (const frame of frames) {
    if (frame.kind === "comment") {
      say("a comment, which Claude Code does not take for a sign of life");
      continue;
    }
    if (over) say(`${frame.event ?? "data"} after the end`);
    const data = parse(frame.data);
    if (data === undefined || data["type"] !== frame.event) {
      say(`event ${frame.event ?? "(none)"} does not carry its own type: ${brief(frame.data)}`);
      continue;
    }
    if (frame.event === "ping") {
      verdict.pings++;
      continue;
    }
    if (frame.event === "error") {
      over = true;
      verdict.end = "error";
      checkError(data);
      continue;
    }
    if (frame.event === "message_start") {
      if (started) say("a second message_start");
      started = true;
      checkStart(data["message"]);
      continue;
    }
    if (!started) say(`${frame.event} before message_start`);
    if (delta !== undefined && frame.event !== "message_stop") say(`${frame.event} after message_delta`);
    switch (frame.event) {
      case "content_block_start":
        startBlock(data);
        break;
      case "content_block_delta":
        blockDelta(data);
        break;
      case "content_block_stop":
        stopBlock(data);
        break;
      case "message_delta":
        if (open !== undefined) say("message_delta inside a block");
        delta = data;
        checkDelta(data);
        break;
      case "message_stop":
        if (delta === undefined) say("message_stop without message_delta");
        over = true;
        verdict.end = "finish";
        break;
      default:
        say(`an event of an unknown type: ${frame.event ?? "(none)"}`);
    }
  }
  return verdict;

  function checkStart(message: unknown): void {
    if (!isObject(message)) return say("message_start without a message");
    if (!/^msg_[\w-]+$/.test(String(message["id"]))) say(`the message's id is ${String(message["id"])}`);
    if (message["type"] !== "message" || message["role"] !== "assistant")
      say("message_start is no assistant's message");
    if (typeof message["model"] !== "string") say("message_start names no model");
    if (!Array.isArray(message["content"]) || message["content"].length > 0) say("message_start already has content");
    if (message["stop_reason"] !== null || message["stop_sequence"] !== null) say("message_start already stopped");
    const prompt = promptTokens(message["usage"]);
    if (prompt === undefined) say("message_start has no usage");
    verdict.promptAtStart = prompt;
  }

  function startBlock(data: Json): void {
    if (open !== undefined) say("a block inside a block");
    const block = isObject(data["content_block"]) ? data["content_block"] : {};
    const type = String(block["type"]);
    if (data["index"] !== next) say(`block ${String(data["index"])} where ${next} was due`);
    if (!(type in DELTAS)) say(`a block of an unknown type: ${type}`);
    if (type === "text" && block["text"] !== "") say("a text block that does not start empty");
    if (type === "thinking" && block["thinking"] !== "") say("a thinking block that does not start empty");
    if (type === "tool_use") {
      const { id, name, input } = block;
      if (!/^[\w-]+$/.test(String(id))) say(`a tool_use id that clients refuse: ${String(id)}`);
      if (typeof name !== "string" || name === "") say("a tool_use without a name");
      if (!isObject(input) || Object.keys(input).length > 0) say("a tool_use whose input does not start as {}");
      if (verdict.calls.some((call) => call.id === id)) say("a tool_use id twice");
      verdict.calls.push({ id: String(id), name: String(name), arguments: "" });
    }
    open = { index: next, type, signed: false };
    next++;
  }

  function blockDelta(data: Json): void {
    const inner = isObject(data["delta"]) ? data["delta"] : {};
    const type = String(inner["type"]);
    if (open === undefined || data["index"] !== open.index) return say(`a ${type} outside its block`);
    if (!DELTAS[open.type]?.includes(type)) return say(`a ${type} in a ${open.type} block`);
    if (open.signed) say(`a ${type} after the signature`);
    if (type === "text_delta") verdict.text += said(inner["text"], type);
    else if (type === "thinking_delta") verdict.reasoning += said(inner["thinking"], type);
    else if (type === "signature_delta") open.signed = said(inner["signature"], type) !== "";
    else {
      const call = verdict.calls.at(-1);
      if (call !== undefined) call.arguments += said(inner["partial_json"], type);
    }
  }

  function said(value: unknown, type: string): string {
    if (typeof value === "string" && value !== "") return value;
    say(`an empty ${type}`);
    return "";
  }

  function stopBlock(data: Json): void {
    if (open === undefined || data["index"] !== open.index) return say("content_block_stop of another block");
    if (open.type === "thinking" && !open.signed) say("a thinking block without a signature");
    const input = open.type === "tool_use" ? (verdict.calls.at(-1)?.arguments ?? "") : "";
    if (input !== "" && !isJson(input)) verdict.malformed.push(input);
    open = undefined;
  }

  function checkDelta(data: Json): void {
    const inner = isObject(data["delta"]) ? data["delta"] : {};
    const reason = String(inner["stop_reason"]);
    verdict.reason = reason;
    if (!STOP_REASONS.has(reason)) say(`an unknown stop_reason: ${reason}`);
    if ((reason === "stop_sequence") !== (typeof inner["stop_sequence"] === "string"))
      say("stop_reason and stop_sequence disagree");
    if (reason === "tool_use" && verdict.calls.length === 0) say("stop_reason tool_use without a tool_use block");
    if (reason === "end_turn" && verdict.calls.length > 0) say("stop_reason end_turn after a tool_use block");
    verdict.promptAtEnd = promptTokens(data["usage"]);
    const output = isObject(data["usage"]) ? data["usage"]["output_tokens"] : undefined;
    if (isCount(output)) verdict.output = output;
    else say("message_delta has no output_tokens");
  }

  function checkError(data: Json): void {
    const error = isObject(data["error"]) ? data["error"] : {};
    if (typeof error["type"] !== "string" || typeof error["message"] !== "string")
      say("an error without type or message");
    if (!String(data["request_id"]).startsWith("req_")) say("an error without the request's id");
    verdict.error = { type: String(error["type"]), message: String(error["message"]) };
  }
}

function parse(data: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** All tokens of the prompt: Anthropic counts cached ones apart. */
export function promptTokens(usage: unknown): number | undefined {
  if (!isObject(usage) || !isCount(usage["input_tokens"])) return undefined;
  const { input_tokens, cache_read_input_tokens: read, cache_creation_input_tokens: written } = usage;
  return Number(input_tokens) + (isCount(read) ? read : 0) + (isCount(written) ? written : 0);
}
