/**
 * Writes what is published of the configuration's schema: evener.schema.json for editors, docs/configuration.md for people.
 * `node scripts/config-reference.ts` writes both; a test fails when they are stale.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { ENVIRONMENT_VARIABLES } from "../src/config/environment.ts";
import { configSchema } from "../src/config/schema.ts";

type Property = {
  description?: string;
  default?: unknown;
  type?: string;
  enum?: string[];
  properties?: Properties;
  items?: Property;
  additionalProperties?: Property | boolean;
};
type Properties = Record<string, Property>;

const BEGIN = "<!-- generated: settings -->";
const END = "<!-- /generated -->";

export function jsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, { io: "input" });
  return `${JSON.stringify({ ...schema, title: "Evener configuration" }, null, 2)}\n`;
}

/** The page with its generated part renewed. */
export function configurationPage(page: string): string {
  const schema = z.toJSONSchema(configSchema, { io: "input" }) as { properties: Properties };
  const settings = rows("", schema.properties).map(
    ({ name, type, fallback, what }) => `| \`${name}\` | ${type} | ${fallback} | ${what} |`,
  );
  const variables = Object.entries(ENVIRONMENT_VARIABLES).map(([name, what]) => `| \`${name}\` | ${what} |`);
  const generated = [
    "| setting | type | default | what it is |",
    "| --- | --- | --- | --- |",
    ...settings,
    "",
    "| environment variable | what it sets |",
    "| --- | --- |",
    ...variables,
  ].join("\n");
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`the page has no ${BEGIN} … ${END}`);
  return `${before}${BEGIN}\n\n${generated}\n\n${END}${after}`;
}

type Row = { name: string; type: string; fallback: string; what: string };

function rows(prefix: string, properties: Properties): Row[] {
  return Object.entries(properties).flatMap(([name, property]) => {
    const full = prefix + name;
    if (property.properties !== undefined) return rows(`${full}.`, property.properties);
    if (property.items?.properties !== undefined) return rows(`${full}[].`, property.items.properties);
    const values = property.additionalProperties;
    if (typeof values === "object" && values.properties !== undefined)
      return rows(`${full}.<name>.`, values.properties);
    const type = property.enum?.map((each) => `\`${each}\``).join(", ") ?? property.type ?? "string";
    const fallback = property.default === undefined ? "" : `\`${JSON.stringify(property.default)}\``;
    return [{ name: full, type, fallback, what: property.description ?? "" }];
  });
}

if (import.meta.main) {
  writeFileSync("evener.schema.json", jsonSchema());
  writeFileSync("docs/configuration.md", configurationPage(readFileSync("docs/configuration.md", "utf8")));
}
