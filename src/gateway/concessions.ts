/**
 * What engines took requests without: a tool choice where they have no parser for calls or no grammar that forces one, keywords of schemas
 * that their grammar does not know. A refusal is answered by asking again in that form; what it was about is remembered, so that the next
 * request is put so from the start.
 */
import { hash } from "node:crypto";
import type { Concession } from "../conversation/errors.ts";
import type { ChatRequest, FunctionTool, Tool } from "../conversation/request.ts";
import type { ChatTarget } from "../engine/encode-chat.ts";
import { plainSchema } from "../engine/plain-schema.ts";

/** A request as it is put to an engine, and what was given up for that, as `where:name`. */
export type Asking = {
  readonly request: ChatRequest;
  readonly target: ChatTarget;
  readonly without: readonly string[];
};

/** Whose the missing parser is: an engine of the pool. */
type Replica = object;

/** An engine may be started anew with a parser. Milliseconds. */
const REMEMBERED_FOR = 10 * 60_000;
const MOST_SCHEMAS = 1_000;

export class Concessions {
  readonly #recovers: (model: string) => boolean;
  readonly #now: () => number;
  /** By replica, until when it is taken to have no parser. */
  readonly #parserless = new WeakMap<Replica, number>();
  /**
   * Tools and output formats that were refused, by model and checksum. Not by time or engine: tools stand in the prompt, and have to stay the
   * same there through a conversation.
   */
  readonly #refused = new Set<string>();

  /** `recovers`: whether calls in a model's text are looked for; where they are not, no call would ever be found. */
  constructor(recovers: (model: string) => boolean, now: () => number = () => performance.now()) {
    this.#recovers = recovers;
    this.#now = now;
  }

  /** How to ask this replica, by what is known. */
  asking(request: ChatRequest, target: ChatTarget, replica: Replica): Asking {
    let asking: Asking = { request, target, without: [] };
    const until = this.#parserless.get(replica);
    if (until !== undefined && until > this.#now()) asking = this.#withoutParser(asking) ?? asking;
    while (this.#refused.size > 0 && this.#refused.has(schemasOf(asking))) {
      const less = withLessGrammar(asking);
      if (less === undefined) break;
      asking = less;
    }
    return asking;
  }

  /** How to ask again after a refusal; undefined where there is nothing left to do without. */
  concede(concession: Concession, asking: Asking, replica: Replica): Asking | undefined {
    switch (concession) {
      case "tool-parser": {
        const again = this.#withoutParser(asking);
        if (again !== undefined) this.#parserless.set(replica, this.#now() + REMEMBERED_FOR);
        return again;
      }
      case "schema-keywords": {
        const again = withLessGrammar(asking);
        if (again !== undefined) this.#remember(schemasOf(asking));
        return again;
      }
      case "constraint":
        // Nothing is remembered: the failure may have been of another kind, and costs no prefill.
        if (isForced(asking.request)) return withoutForce(asking);
        return holdsAnswer(asking.request) ? withLessGrammar(asking) : undefined;
    }
  }

  /** The tools stay in the prompt; calls are found in the text (recovered-calls.ts). None can then be forced. */
  #withoutParser({ request, target, without }: Asking): Asking | undefined {
    if (target.callsAsText === true || !this.#recovers(target.model)) return undefined;
    return {
      request,
      target: { ...target, callsAsText: true },
      without: isForced(request) ? [...without, "field:tool_choice"] : without,
    };
  }

  #remember(schemas: string): void {
    this.#refused.add(schemas);
    if (this.#refused.size <= MOST_SCHEMAS) return;
    for (const oldest of this.#refused) {
      this.#refused.delete(oldest);
      return;
    }
  }
}

/** What to give up next for a grammar: bounds of values before the shape itself. */
function withLessGrammar(asking: Asking): Asking | undefined {
  return withPlainSchemas(asking) ?? withoutStrict(asking);
}

function withPlainSchemas({ request, target, without }: Asking): Asking | undefined {
  const dropped = new Set<string>();
  const plain = (schema: ChatRequest["extensions"]) => {
    const found = plainSchema(schema);
    for (const keyword of found.dropped) dropped.add(`schema:${keyword}`);
    return found.schema;
  };
  const { tools, output } = request;
  const again: ChatRequest = {
    ...request,
    tools: tools.map((tool) => (tool.type === "function" ? { ...tool, schema: plain(tool.schema) } : tool)),
    ...(output?.type === "json-schema" && { output: { ...output, schema: plain(output.schema) } }),
  };
  return dropped.size === 0 ? undefined : { request: again, target, without: [...without, ...dropped] };
}

/** The model may write other arguments then; its client checks them as ever. */
function withoutStrict({ request, target, without }: Asking): Asking | undefined {
  if (!request.tools.some(isStrict)) return undefined;
  const tools = request.tools.map((tool) => (isStrict(tool) ? { ...tool, strict: false } : tool));
  return { request: { ...request, tools }, target, without: [...without, "field:strict"] };
}

/** The model may answer with text then; whoever forced a call is told. */
function withoutForce({ request, target, without }: Asking): Asking | undefined {
  if (target.callsAsText === true) return undefined;
  return { request: { ...request, toolChoice: { type: "auto" } }, target, without: [...without, "field:tool_choice"] };
}

function isForced({ toolChoice }: ChatRequest): boolean {
  return toolChoice?.type === "required" || toolChoice?.type === "tool";
}

function isStrict(tool: Tool): tool is FunctionTool {
  return tool.type === "function" && tool.strict === true;
}

/** Whether a grammar keeps the model to something, though no call is forced. */
function holdsAnswer({ tools, output }: ChatRequest): boolean {
  return output?.type === "json-schema" || tools.some(isStrict);
}

function schemasOf({ request: { tools, output }, target }: Asking): string {
  return hash("sha256", JSON.stringify([target.model, tools, output]), "base64");
}
