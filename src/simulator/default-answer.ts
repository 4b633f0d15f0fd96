/** What the simulated engine answers when no script says otherwise: that it is none, in the shape that was asked for. */
import type { ChatBody } from "./chat-body.ts";
import { isObject } from "./chat-body.ts";
import { schemaInstance } from "./schema-instance.ts";
import type { Turn } from "./script.ts";

export const DEFAULT_TEXT =
  "This is Evener's simulated engine, not a model. It answers every message with these sentences, so that you can try " +
  "the gateway without a GPU. To talk to a model, start one (vLLM, SGLang, llama.cpp, Ollama or LM Studio) and give " +
  "Evener its address with --engine URL.";

/** Calls a tool only where the request forces a call, and then with the smallest arguments that its schema takes. */
export function defaultAnswer(body: ChatBody): Turn {
  const choice = body.choices?.[0];
  if (choice !== undefined) return { raw: choice };
  if (body.toolChoice === "required" || typeof body.toolChoice === "object") {
    const { toolChoice, tools } = body;
    const tool = typeof toolChoice === "object" ? tools.find(({ name }) => name === toolChoice.name) : tools[0];
    if (tool) return { calls: [{ name: tool.name, arguments: JSON.stringify(schemaInstance(tool.parameters)) }] };
  }
  const format = body.responseFormat;
  if (format?.["type"] === "json_object") return { text: "{}" };
  if (format?.["type"] === "json_schema" && isObject(format["json_schema"])) {
    return { text: JSON.stringify(schemaInstance(format["json_schema"]["schema"])) };
  }
  return { text: DEFAULT_TEXT };
}
