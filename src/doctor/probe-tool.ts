/** The tool that the doctor asks for, and how its calls look where an engine leaves them as text. */
import { isObject } from "../base/is-object.ts";
import type { JsonObject } from "../conversation/request.ts";
import type { AnsweredCall } from "./chat-answer.ts";

export const PROBE_NAME = "report_city";
const CITY = "Paris";
export const PROBE_ARGUMENTS = JSON.stringify({ city: CITY });

/**
 * One choice of arguments, given as a whole: under a grammar a model that babbles has nothing to add, not even white space, and ends after some
 * forty tokens.
 */
const PARAMETERS: JsonObject = {
  type: "object",
  properties: { city: { type: "string", enum: [CITY] } },
  required: ["city"],
  additionalProperties: false,
  enum: [{ city: CITY }],
};

const described = { name: PROBE_NAME, description: "Takes the name of a city.", parameters: PARAMETERS };

/** As clients send theirs. */
export const PROBE_TOOL: JsonObject = { type: "function", function: described };

/** Whose arguments the engine is told to hold to the schema: what is judged is the engine, not the model. */
export const STRICT_PROBE_TOOL: JsonObject = { type: "function", function: { ...described, strict: true } };

export const PROBE_MESSAGES: readonly JsonObject[] = [
  { role: "user", content: `Call the tool ${PROBE_NAME} with the city ${CITY}. Answer with nothing else.` },
];

/** Tells the chat template whether to think, under both names that templates know; either goes for nothing where it is not known. */
export function thinkingIs(on: boolean): JsonObject {
  return { chat_template_kwargs: { enable_thinking: on, thinking: on } };
}

/** What is wrong with a call; undefined where nothing is. `broken`: its arguments are no JSON object; `misfit`: not of the schema. */
export function problemOfCall({ name, arguments: text }: AnsweredCall): "wrong-tool" | "broken" | "misfit" | undefined {
  if (name !== PROBE_NAME) return "wrong-tool";
  const value = parse(text);
  if (!isObject(value)) return "broken";
  return Object.keys(value).length === 1 && value["city"] === CITY ? undefined : "misfit";
}

const MARKS = [
  /<\/?tool_call|<\/?function[=>s_]|<\/?(?:\w+:)?(?:invoke|tool_call)|<arg_key>|<\/?parameter[= >]/,
  /\[(?:TOOL_CALLS|ARGS)\]|<\|python_tag\|>|functools\[|<\|(?:open|START_ACTION|tool_call|tool_calls_section)/,
  /<｜(?:tool|DSML)|to=functions\./,
];
const WITHOUT_MARKS = new RegExp(String.raw`"(?:name|function|tool)"\s*:\s*"${PROBE_NAME}"|\b${PROBE_NAME}\(\w+=`);

/** Whether a call, or a part of one, stands in the text in any of the forms that models write. */
export function holdsCall(text: string): boolean {
  return holdsMark(text) || WITHOUT_MARKS.test(text);
}

/** Only with the marks of a dialect: who thinks about a call may well write it down without. */
export function holdsMark(text: string): boolean {
  return MARKS.some((mark) => mark.test(text));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
