/** Makes output items of what the model wrote, and writes them as JSON: the same in a stream and in a whole answer. */
import { asByteText, fromByteText, toByteText } from "../../conversation/byte-text.ts";
import type { AnswerContext } from "../../conversation/codec.ts";
import type { JsonObject, ResponsesTool, ResponsesToolKind } from "../../conversation/request.ts";
import { isObject } from "../../base/is-object.ts";
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
/** `fields` is JSON: call_id and, but for a search, name and, if it has one, namespace. */
export type CallItem = Base & { kind: "call"; tool: ResponsesToolKind; fields: string };
export type OutputItem = ReasoningItem | TextItem | CallItem;

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export type ItemMaker = {
  reasoning(): ReasoningItem;
  text(): TextItem;
  call(engineId: string, name: string): CallItem;
};

const CALL_PREFIX = { function: "fc", custom: "ctc", search: "tsc" } as const satisfies Record<
  ResponsesToolKind,
  string
>;

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
      const tool = form?.tools.get(engineName) ?? { name: engineName, kind: "function" };
      const fields = `"call_id":${jsonText(callId(engineId, calls++))}${nameFields(tool)}`;
      return { kind: "call", tool: tool.kind, fields, ...base(CALL_PREFIX[tool.kind]) };
    },
  };
}

function nameFields({ name, namespace, kind }: ResponsesTool): string {
  if (kind === "search") return "";
  return `,"name":${jsonText(name)}${namespace === undefined ? "" : `,"namespace":${jsonText(namespace)}`}`;
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
    default:
      return `${head},${callJson(item, begun)}}`;
  }
}

function callJson(item: CallItem, begun: boolean): string {
  if (item.tool === "search")
    return `"type":"tool_search_call","execution":"client",${item.fields},"arguments":${begun ? "{}" : objectText(item)}`;
  const text = begun ? '""' : JSON.stringify(callText(item));
  return item.tool === "custom"
    ? `"type":"custom_tool_call",${item.fields},"input":${text}`
    : `"type":"function_call",${item.fields},"arguments":${text}`;
}

/** The one content part of a message or of reasoning. */
export function partJson(item: TextItem | ReasoningItem, text: string): string {
  return item.kind === "text"
    ? `{"type":"output_text","text":${JSON.stringify(text)},"annotations":[],"logprobs":[]}`
    : `{"type":"reasoning_text","text":${JSON.stringify(text)}}`;
}

/** What the client gets as the call's arguments or, of a custom tool, as its input; bytes. */
export function callText(item: CallItem): string {
  if (item.tool !== "custom") return item.text;
  const input = parsedArguments(item)?.["input"];
  // Not the JSON that was asked for: the tool is one for free text, and judges that better than we do.
  return typeof input === "string" ? toByteText(input) : item.text;
}

/** The arguments of a search, which this API writes as an object; what is none says nothing, and the client tells the model so. */
function objectText(item: CallItem): string {
  const value = parsedArguments(item);
  try {
    return value === undefined ? "{}" : toByteText(JSON.stringify(value));
  } catch {
    // Nested by the thousand: JSON.parse takes any depth, JSON.stringify does not.
    return "{}";
  }
}

function parsedArguments(item: CallItem): JsonObject | undefined {
  try {
    const parsed: unknown = JSON.parse(fromByteText(asByteText(item.text)));
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
