/** The tools of one request, as far as recovery needs them: names at once, schemas only when a call may have been found. */
import { isObject } from "../base/is-object.ts";
import type { JsonObject } from "../conversation/request.ts";

export type DeclaredTool = { name: string; schema: JsonObject };

/** The members of a tool's arguments that its schema names, in its order. */
export type ToolShape = {
  properties: ReadonlyMap<string, unknown>;
  required: readonly string[];
};

const shapes = new WeakMap<JsonObject, ToolShape>();

/** Reads a schema's top level, once for each schema. */
export function shapeOf(tool: DeclaredTool): ToolShape {
  const known = shapes.get(tool.schema);
  if (known !== undefined) return known;
  const { properties, required } = tool.schema;
  const shape: ToolShape = {
    properties: new Map(isObject(properties) ? Object.entries(properties) : []),
    required: Array.isArray(required) ? required.filter((key): key is string => typeof key === "string") : [],
  };
  shapes.set(tool.schema, shape);
  return shape;
}

/** What recovery knows of a request's tools; makes nothing of them until it is asked. */
export class CallVocabulary {
  readonly tools: readonly DeclaredTool[];
  #initials: string | undefined;

  constructor(tools: readonly DeclaredTool[]) {
    this.tools = tools;
  }

  /** The first characters of all names. */
  get initials(): string {
    return (this.#initials ??= [...new Set(this.tools.map(({ name }) => name.charAt(0)))].join(""));
  }

  /** Whether a declared name begins with this. */
  begins(written: string): boolean {
    return this.tools.some(({ name }) => name.startsWith(written));
  }

  named(name: string): DeclaredTool | undefined {
    return this.tools.find((tool) => tool.name === name);
  }
}
