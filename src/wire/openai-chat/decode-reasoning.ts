/** Decodes what the client wants of reasoning, which OpenAI-speaking clients say in four different ways. */
import type { JsonObject, ReasoningWish } from "../../conversation/request.ts";
import { booleanField, countField, objectField, stringField } from "./fields.ts";

/**
 * `reasoning_effort` (OpenAI), `reasoning: {effort, max_tokens, enabled}` (OpenRouter and the Responses API),
 * `thinking: {type, budget_tokens}` (DeepSeek, GLM, Kimi) and `enable_thinking` (Qwen). The first that says something wins.
 */
export function decodeReasoning(body: JsonObject): ReasoningWish {
  const object = objectField(body["reasoning"], "reasoning");
  const effort =
    stringField(body["reasoning_effort"], "reasoning_effort") ?? stringField(object?.["effort"], "reasoning.effort");
  const budget = countField(object?.["max_tokens"], "reasoning.max_tokens", 1);
  if (effort === "none") return { mode: "off" };
  if (effort !== undefined || budget !== undefined) {
    return { mode: "on", ...(effort !== undefined && { effort }), ...(budget !== undefined && { budget }) };
  }
  const thinking = objectField(body["thinking"], "thinking");
  const thinkingBudget = countField(thinking?.["budget_tokens"], "thinking.budget_tokens", 1);
  const type = stringField(thinking?.["type"], "thinking.type");
  if (type === "disabled") return { mode: "off" };
  if (type === "enabled") return { mode: "on", ...(thinkingBudget !== undefined && { budget: thinkingBudget }) };
  const enabled =
    booleanField(object?.["enabled"], "reasoning.enabled") ?? booleanField(body["enable_thinking"], "enable_thinking");
  return { mode: enabled === undefined ? "unset" : enabled ? "on" : "off" };
}
