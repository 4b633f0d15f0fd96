/** Makes output items of what the model wrote, and writes them as JSON: the same in a stream and in a whole answer. */
import { asByteText, fromByteText, toByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import { callIds } from "../openai-chat/call-ids.ts";
import { jsonText } from "../sse-frame.ts";
import { packReasoning } from "./reasoning-carrier.ts";
import { plainRequestId } from "./response-object.ts";

type Base = {
  /** `output_index`. */
  index: number;
  /** ASCII that needs no escapes in JSON, as all ids made here. */
  id: string;
  /** Bytes so far: text, or a call's arguments as the engine writes them. */
  text: string;
};
export type ReasoningItem = Base & { kind: "reasoning"; carry: boolean };
export type TextItem = Base & { kind: "text" };
/** `fields` is JSON: call_id, name and, if it has one, namespace. */
export type CallItem = Base & { kind: "call"; custom: boolean; fields: string };
export type OutputItem = ReasoningItem | TextItem | CallItem;

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export type ItemMaker = {
  reasoning(): ReasoningItem;
  text(): TextItem;
  call(engineId: string, name: string): CallItem;
};

/** Numbers the items of one answer, in the order in which they are made. */
export function itemMaker(context: AnswerContext): ItemMaker {
  const form = context.request.answerForm?.responses;
  const callId = callIds(context);
  const suffix = jsonText(plainRequestId(context.requestId)).slice(1, -1);
  let index = 0;
  let calls = 0;
  const base = (prefix: string): Base => ({ index, id: `${prefix}_${suffix}_${index++}`, text: "" });
  return {
    reasoning: () => ({ kind: "reasoning", carry: form?.carryReasoning === true, ...base("rs") }),
    text: () => ({ kind: "text", ...base("msg") }),
    call(engineId, engineName) {
      const { name, namespace, custom } = form?.tools.get(engineName) ?? { name: engineName, custom: false };
      const space = namespace === undefined ? "" : `,"namespace":${jsonText(namespace)}`;
      const fields = `"call_id":${jsonText(callId(engineId, calls++))},"name":${jsonText(name)}${space}`;
      return { kind: "call", custom, fields, ...base(custom ? "ctc" : "fc") };
    },
  };
}

/** The item with what it holds; one in progress is written as it is announced, without its content. */
export function itemJson(item: OutputItem, status: ItemStatus): string {
  const head = `{"id":"${item.id}","status":"${status}"`;
  const begun = status === "in_progress";
  switch (item.kind) {
    case "text":
      return `${head},"type":"message","role":"assistant","content":[${begun ? "" : partJson(item, item.text)}]}`;
    case "reasoning": {
      const carried = begun || !item.carry ? "" : `,"encrypted_content":"${packReasoning(item.text)}"`;
      return `${head},"type":"reasoning","summary":[],"content":[${begun ? "" : partJson(item, item.text)}]${carried}}`;
    }
    default: {
      const text = begun ? '""' : JSON.stringify(callText(item));
      return item.custom
        ? `${head},"type":"custom_tool_call",${item.fields},"input":${text}}`
        : `${head},"type":"function_call",${item.fields},"arguments":${text}}`;
    }
  }
}

/** The one content part of a message or of reasoning. */
export function partJson(item: TextItem | ReasoningItem, text: string): string {
  return item.kind === "text"
    ? `{"type":"output_text","text":${JSON.stringify(text)},"annotations":[],"logprobs":[]}`
    : `{"type":"reasoning_text","text":${JSON.stringify(text)}}`;
}

/** What the client gets as the call's arguments or, of a custom tool, as its input; bytes. */
export function callText(item: CallItem): string {
  if (!item.custom) return item.text;
  try {
    const parsed: unknown = JSON.parse(fromByteText(asByteText(item.text)));
    const input = typeof parsed === "object" && parsed !== null && "input" in parsed ? parsed.input : undefined;
    if (typeof input === "string") return toByteText(input);
  } catch {
    // Not the JSON that was asked for: the tool is one for free text, and judges that better than we do.
  }
  return item.text;
}
