/** Reads queries as Anthropic's clients write them (lists as `name[]=a&name[]=b`, names beside that are ignored), and pages lists. */
import type { Context } from "hono";
import { z } from "zod";
import { GatewayError } from "../conversation/errors.ts";
import { filterText } from "./admin-input.ts";
import type { OrganizationEnv } from "./organization-caller.ts";

/** A query value that may be given many times; absent is undefined. */
export const many = <T extends z.ZodType<unknown, string>>(item: T) => z.array(item).max(100).optional();
/** A query value of which the last counts. */
export const one = <T extends z.ZodType<unknown, string>>(item: T) =>
  z
    .array(z.string())
    .transform((values) => values.at(-1) ?? "")
    .pipe(item)
    .optional()
    // What the description for machines says of it: not a list.
    .meta({ single: z.toJSONSchema(item, { io: "input", unrepresentable: "any" }) });

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, "must be a whole number")
    .transform(Number)
    .pipe(z.int().min(least).max(most));

export const limitOf = (most: number) => one(whole(1, most));

/** `page` is what a list of spend limits calls `after_id`. */
export const PageQuery = z.object({
  limit: limitOf(1_000),
  after_id: one(filterText),
  before_id: one(filterText),
  page: one(filterText),
});

/** Throws GatewayError `invalid_request`. */
export function readQueries<T extends z.ZodType>(c: Context<OrganizationEnv>, schema: T): z.output<T> {
  const values: Record<string, string[]> = {};
  for (const [name, list] of Object.entries(c.req.queries())) {
    const plain = name.replace(/\[\d*\]$/, "");
    values[plain] = [...(values[plain] ?? []), ...list];
  }
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const param = String(issue?.path[0] ?? "");
  throw new GatewayError("invalid_request", `${param}: ${issue?.message ?? "not valid"}`, { param });
}

export type Page<T> = { data: T[]; has_more: boolean; first_id: string | null; last_id: string | null };

const DEFAULT_LIMIT = 20;

/** One page of a whole list; an id that is not in it is GatewayError `invalid_request`. */
export function pageOf<T extends { id: string }>(items: readonly T[], query: z.output<typeof PageQuery>): Page<T> {
  const { limit = DEFAULT_LIMIT, before_id: before } = query;
  const after = query.after_id ?? query.page;
  if (after !== undefined && before !== undefined)
    throw new GatewayError("invalid_request", "give either after_id or before_id, not both");
  const start = after === undefined ? 0 : indexOf(items, after) + 1;
  const end = before === undefined ? items.length : indexOf(items, before);
  const data = before === undefined ? items.slice(start, start + limit) : items.slice(Math.max(0, end - limit), end);
  const has_more = before === undefined ? start + limit < items.length : end - limit > 0;
  return { data, has_more, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
}

function indexOf(items: readonly { id: string }[], id: string): number {
  const index = items.findIndex((item) => item.id === id);
  if (index === -1) throw new GatewayError("invalid_request", `there is no ${id} to go on from`);
  return index;
}
