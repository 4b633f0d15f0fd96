/** The grammar of OpenAI's chat completion chunks, checked chunk by chunk: what is the same in all, and what may follow what. */
import { brief, readFrames } from "./wire-sse.ts";
import { emptyVerdict, isCount, isJson, isObject, type Json, type Verdict } from "./wire-verdict.ts";

const FINISH_REASONS = new Set(["stop", "length", "tool_calls", "content_filter", "function_call"]);
const DELTA_FIELDS = new Set([
  "role",
  "content",
  "refusal",
  "reasoning",
  "reasoning_content",
  "tool_calls",
  "function_call",
]);

/** Judges a stream as it was received. Comments may stand anywhere before the end. */
export function judgeOpenaiStream(text: string): Verdict {
  const { frames, problems } = readFrames(text);
  const verdict = emptyVerdict(problems);
  const say = (problem: string): void => void problems.push(problem);
  let identity: string | undefined;
  let deltas = 0;
  let finished = false;
  let usageSeen = false;
  let over = false;

  for (const frame of frames) {
    if (over) say("something after the end");
    if (frame.kind === "comment") {
      verdict.pings++;
      continue;
    }
    if (frame.event !== undefined) say(`a named event: ${frame.event}`);
    if (frame.data === "[DONE]") {
      if (!finished) say("[DONE] without a finish reason");
      over = true;
      verdict.end = "finish";
      continue;
    }
    const data = parse(frame.data);
    if (data === undefined) say(`not JSON: ${brief(frame.data)}`);
    else if (data["error"] !== undefined) {
      over = true;
      verdict.end = "error";
      checkError(data["error"]);
    } else checkChunk(data);
  }
  for (const call of verdict.calls) if (!isJson(call.arguments)) verdict.malformed.push(call.arguments);
  return verdict;

  function checkChunk(chunk: Json): void {
    const { id, object, created, model, choices } = chunk;
    if (object !== "chat.completion.chunk") say(`an object ${String(object)}`);
    if (!String(id).startsWith("chatcmpl-") || !isCount(created) || typeof model !== "string")
      say("a chunk without identity");
    const own = `${String(id)} ${String(created)} ${String(model)}`;
    identity ??= own;
    if (own !== identity) say("the chunks are not of one answer");
    if (!Array.isArray(choices)) return say("a chunk without choices");
    if (choices.length === 0) return checkUsage(chunk["usage"]);
    const choice: unknown = choices[0];
    if (choices.length > 1 || !isObject(choice) || choice["index"] !== 0) return say("not exactly one choice");
    if (finished) say("a choice after the finish");
    if (chunk["usage"] !== undefined && chunk["usage"] !== null) say("usage beside a choice");
    checkDelta(choice["delta"]);
    const reason = choice["finish_reason"];
    if (reason === null) return;
    finished = true;
    verdict.reason = String(reason);
    if (!FINISH_REASONS.has(verdict.reason)) say(`an unknown finish_reason: ${verdict.reason}`);
    if (verdict.reason === "tool_calls" && verdict.calls.length === 0) say("finish_reason tool_calls without a call");
    if (verdict.reason === "stop" && verdict.calls.length > 0) say("finish_reason stop after a call");
  }

  function checkDelta(delta: unknown): void {
    if (!isObject(delta)) return say("a choice without a delta");
    for (const field of Object.keys(delta)) if (!DELTA_FIELDS.has(field)) say(`a delta with ${field}`);
    if ((delta["role"] === "assistant") !== (deltas === 0)) say("the role is not in the first delta alone");
    deltas++;
    if (delta["reasoning"] !== delta["reasoning_content"]) say("the two fields of reasoning differ");
    if (typeof delta["content"] === "string") verdict.text += delta["content"];
    if (typeof delta["reasoning"] === "string") verdict.reasoning += delta["reasoning"];
    if (Array.isArray(delta["tool_calls"])) for (const call of delta["tool_calls"]) checkCall(call);
    if (isObject(delta["function_call"])) legacyCall(delta["function_call"]);
  }

  function checkCall(call: unknown): void {
    const fn = isObject(call) ? call["function"] : undefined;
    if (!isObject(call) || !isObject(fn)) return say("a tool call that is none");
    const { index } = call;
    if (index === verdict.calls.length) {
      const { id, type } = call;
      if (typeof id !== "string" || id === "" || type !== "function") say("a call that starts without id or type");
      if (typeof fn["name"] !== "string" || fn["name"] === "") say("a call without a name");
      if (verdict.calls.some((earlier) => earlier.id === id)) say("a call's id twice");
      verdict.calls.push({ id: String(id), name: String(fn["name"]), arguments: String(fn["arguments"] ?? "") });
      return;
    }
    const last = verdict.calls.at(-1);
    if (last === undefined || index !== verdict.calls.length - 1)
      return say(`a delta of call ${String(index)} out of order`);
    if (call["id"] !== undefined || fn["name"] !== undefined) say("a call that starts twice");
    if (typeof fn["arguments"] === "string") last.arguments += fn["arguments"];
    else say("a call's delta without arguments");
  }

  function legacyCall(fn: Json): void {
    if (typeof fn["name"] === "string") verdict.calls.push({ id: "", name: fn["name"], arguments: "" });
    const last = verdict.calls.at(-1);
    if (last === undefined) return say("function_call arguments before its name");
    last.arguments += String(fn["arguments"] ?? "");
  }

  function checkUsage(usage: unknown): void {
    if (!finished) say("usage before the finish");
    if (usageSeen) say("usage twice");
    usageSeen = true;
    if (!isObject(usage) || !isCount(usage["prompt_tokens"]) || !isCount(usage["completion_tokens"]))
      return say("a last chunk without usage");
    verdict.promptAtEnd = usage["prompt_tokens"];
    verdict.output = usage["completion_tokens"];
    if (usage["total_tokens"] !== usage["prompt_tokens"] + usage["completion_tokens"]) say("total_tokens is no total");
  }

  function checkError(error: unknown): void {
    if (!isObject(error)) return say("an error that is no object");
    const { message, type, param, code } = error;
    if (typeof message !== "string" || typeof type !== "string") say("an error without type or message");
    if (param === undefined || code === undefined) say("an error without param or code");
    verdict.error = { type: String(type), message: String(message) };
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
