/** Decodes `response_format`: the shape that the answer must have. */
import type { OutputFormat } from "../../conversation/request.ts";
import { booleanField, objectField, refuse, stringField } from "./fields.ts";
import type { Notes } from "./notes.ts";

export function decodeOutput(value: unknown, notes: Notes): OutputFormat | undefined {
  const format = objectField(value, "response_format");
  if (format === undefined) return undefined;
  switch (format["type"]) {
    case "text":
      return undefined;
    case "json_object":
      return { type: "json-object" };
    case "json_schema": {
      const at = "response_format.json_schema";
      const wish = objectField(format["json_schema"], at) ?? refuse(at, "is missing");
      const schema = objectField(wish["schema"], `${at}.schema`) ?? refuse(`${at}.schema`, "is missing");
      if (wish["description"] !== undefined) notes.add("field", "response_format.description");
      const strict = booleanField(wish["strict"], `${at}.strict`);
      const name = stringField(wish["name"], `${at}.name`) ?? "answer";
      return { type: "json-schema", name, schema, ...(strict !== undefined && { strict }) };
    }
    default:
      return refuse("response_format.type", "must be text, json_object or json_schema");
  }
}
