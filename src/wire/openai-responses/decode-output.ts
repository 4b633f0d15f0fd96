/** Decodes `text.format`: the shape that the answer must have. */
import type { JsonObject, OutputFormat } from "../../conversation/request.ts";
import { booleanField, objectField, refuse, stringField } from "../openai-chat/fields.ts";
import type { Notes } from "../openai-chat/notes.ts";

export function decodeOutput(text: JsonObject | undefined, notes: Notes): OutputFormat | undefined {
  if (text === undefined) return undefined;
  for (const name of Object.keys(text)) if (name !== "format") notes.add("field", `text.${name}`);
  const format = objectField(text["format"], "text.format");
  if (format === undefined) return undefined;
  switch (format["type"]) {
    case "text":
      return undefined;
    case "json_object":
      return { type: "json-object" };
    case "json_schema": {
      const at = "text.format";
      const schema = objectField(format["schema"], `${at}.schema`) ?? refuse(`${at}.schema`, "is missing");
      if (format["description"] !== undefined) notes.add("field", "text.format.description");
      const strict = booleanField(format["strict"], `${at}.strict`);
      const name = stringField(format["name"], `${at}.name`) ?? "answer";
      return { type: "json-schema", name, schema, ...(strict !== undefined && { strict }) };
    }
    default:
      return refuse("text.format.type", "must be text, json_object or json_schema");
  }
}
