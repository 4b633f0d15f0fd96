/** Knows the fields that ask for reasoning and for a shape of the answer: `thinking`, `output_config`, `output_format`. */
import type { JsonObject, OutputFormat, ReasoningWish } from "../../conversation/request.ts";
import { isGiven, optionalCount, optionalString, requireObject, requireString } from "./fields.ts";
import type { IgnoredList } from "./ignored.ts";

/** `effortNow` is the effort that the last system message inside the conversation set, if one did. */
export function decodeReasoning(body: JsonObject, effortNow: string | undefined, ignored: IgnoredList): ReasoningWish {
  const wish = decodeThinking(body["thinking"], ignored);
  const config = isGiven(body["output_config"]) ? requireObject(body["output_config"], "output_config") : {};
  const effort = effortNow ?? optionalString(config["effort"], "output_config.effort");
  if (effort !== undefined) wish.effort = effort;
  if (isGiven(config["task_budget"])) ignored.note("field", "output_config.task_budget");
  return wish;
}

function decodeThinking(value: unknown, ignored: IgnoredList): ReasoningWish {
  if (!isGiven(value)) return { mode: "unset" };
  const thinking = requireObject(value, "thinking");
  const type = requireString(thinking["type"], "thinking.type");
  if (isGiven(thinking["display"]) && thinking["display"] !== "summarized") ignored.note("thinking", "display");
  switch (type) {
    case "enabled": {
      const budget = optionalCount(thinking["budget_tokens"], "thinking.budget_tokens", 0);
      return budget === undefined ? { mode: "on" } : { mode: "on", budget };
    }
    case "adaptive":
    case "between_tools":
      return { mode: "on" };
    case "disabled":
      return { mode: "off" };
    default:
      ignored.note("thinking", type);
      return { mode: "unset" };
  }
}

export function decodeOutputFormat(body: JsonObject, ignored: IgnoredList): OutputFormat | undefined {
  const config = body["output_config"];
  const current = isGiven(config) ? requireObject(config, "output_config")["format"] : undefined;
  const path = isGiven(current) ? "output_config.format" : "output_format";
  const value = isGiven(current) ? current : body["output_format"];
  if (!isGiven(value)) return undefined;
  const format = requireObject(value, path);
  const type = requireString(format["type"], `${path}.type`);
  if (type === "json_schema")
    return { type: "json-schema", name: "answer", schema: requireObject(format["schema"], `${path}.schema`) };
  ignored.note("format", type);
  return undefined;
}
