/** Encodes a whole answer as Anthropic's message object: what its stream adds up to. */
import { type ByteText, asByteText } from "../../conversation/byte-text.ts";
import type { Answer, AnswerBlock } from "../../conversation/answer.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import { jsonText } from "../sse-frame.ts";
import { messageHead, stopFields, usageJson } from "./encode-message.ts";
import { toolUseIds } from "./tool-use-id.ts";

export function encodeAnswer(answer: Answer, context: AnswerContext): ByteText {
  const newToolUseId = toolUseIds(context);
  let calls = 0;
  const content = mergeText(answer.blocks).map((block) => {
    if (block.type === "text") return `{"type":"text","text":${JSON.stringify(block.text)}}`;
    if (block.type === "reasoning") {
      const signature = JSON.stringify(context.signReasoning(block.text, context.servedModel));
      return `{"type":"thinking","thinking":${JSON.stringify(block.text)},"signature":${signature}}`;
    }
    const id = newToolUseId(block.id, calls++);
    return `{"type":"tool_use","id":"${id}","name":${jsonText(block.name)},"input":${inputJson(block.arguments)}}`;
  });
  const stop = stopFields(answer.finish, calls > 0);
  const usage = usageJson(context.usage.usage);
  return asByteText(`{${messageHead(context)},"content":[${content.join(",")}],${stop},"usage":${usage}}`);
}

/** Without empty blocks, and with neighbours of one kind as one block: a stream opens no block for them either. */
function mergeText(blocks: readonly AnswerBlock[]): AnswerBlock[] {
  const merged: AnswerBlock[] = [];
  for (const block of blocks) {
    if (block.type === "tool-call") {
      merged.push(block);
      continue;
    }
    if (block.text === "") continue;
    const last = merged.at(-1);
    if (last?.type === block.type) merged[merged.length - 1] = { ...last, text: asByteText(last.text + block.text) };
    else merged.push(block);
  }
  return merged;
}

/**
 * The JSON of a call's `input`. An object is spliced in as the model wrote it, so that large integers survive. Anything
 * else, a call cut off by the token limit for one, goes out as a JSON string of what the model wrote: the client's own
 * check refuses it and tells the model, which `{}` would let pass.
 */
function inputJson(args: ByteText): string {
  if (args.trim() === "") return "{}";
  return isJsonObject(args) ? args : JSON.stringify(args);
}

function isJsonObject(args: ByteText): boolean {
  if (!args.trimStart().startsWith("{")) return false;
  try {
    JSON.parse(args); // bytes outside ASCII are valid JSON exactly where their text would be

    return true;
  } catch {
    return false;
  }
}
