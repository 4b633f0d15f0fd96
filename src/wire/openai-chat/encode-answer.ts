/** Writes a whole answer as a chat.completion object: what the chunks of the same answer add up to. */
import type { Answer } from "../../conversation/answer.ts";
import { asByteText, type ByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import { jsonText } from "../sse-frame.ts";
import { callIds } from "./call-ids.ts";
import { completionId } from "./completion-id.ts";
import { finishReason } from "./finish-reason.ts";
import { encodeUsage } from "./usage.ts";

export function encodeAnswer(answer: Answer, context: AnswerContext): ByteText {
  const legacy = context.request.answerForm?.legacyFunctionCall === true;
  const callId = callIds(context);
  let text = "";
  let reasoning = "";
  const calls: string[] = [];
  for (const block of answer.blocks) {
    if (block.type === "text") text += block.text;
    else if (block.type === "reasoning") reasoning += block.text;
    else {
      const called = `{"name":${jsonText(block.name)},"arguments":${JSON.stringify(block.arguments)}}`;
      const id = jsonText(callId(block.id, calls.length));
      calls.push(legacy ? called : `{"id":${id},"type":"function","function":${called}}`);
    }
  }
  const { finish } = answer;
  const called = calls.length > 0;
  const reason = finishReason(finish.reason, called ? (legacy ? "function_call" : "tool_calls") : undefined);
  const stop = finish.stopSequence === undefined ? "" : `,"stop_reason":${jsonText(finish.stopSequence)}`;
  return asByteText(
    `{"id":${jsonText(completionId(context.requestId))},"object":"chat.completion","created":${context.created},` +
      `"model":${jsonText(context.model)},"choices":[{"index":0,"message":{"role":"assistant",` +
      // OpenAI's content is null beside calls; clients that show it as it is need "" elsewhere.
      `"content":${text === "" && called ? "null" : JSON.stringify(text)},"refusal":null` +
      reasoningFields(reasoning) +
      callFields(calls, legacy) +
      `},"logprobs":null,"finish_reason":"${reason}"${stop}}],"usage":${encodeUsage(context.usage)}}`,
  );
}

function reasoningFields(reasoning: string): string {
  if (reasoning === "") return "";
  const text = JSON.stringify(reasoning);
  return `,"reasoning_content":${text},"reasoning":${text}`;
}

/** The legacy form has room for one call; the stream encoder keeps the first as well. */
function callFields(calls: readonly string[], legacy: boolean): string {
  if (calls.length === 0) return "";
  return legacy ? `,"function_call":${calls[0]}` : `,"tool_calls":[${calls.join(",")}]`;
}
