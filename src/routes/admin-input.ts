/** Reads the admin API's bodies and queries by their schemas, and says in one line what is wrong with them. */
import type { HonoRequest } from "hono";
import { z } from "zod";
import { GatewayError } from "../conversation/errors.ts";
import { isReadableTime } from "../db/readable-time.ts";
import { bodyText } from "./body-text.ts";

type WithRequest = { req: Pick<HonoRequest, "raw" | "query"> };

/** Postgres cannot hold U+0000, nor half of a surrogate pair in JSON, so nothing is named with them. */
export const filterText = z
  .string()
  .refine((text) => !text.includes("\0"), "must not contain U+0000")
  .refine((text) => text.isWellFormed(), "must not contain half of a surrogate pair");

/** A time with an offset, as a Date; one that the database can read. */
export const timeText = z.iso
  .datetime({ offset: true, error: "give a time as in 2026-11-22T09:00:00Z" })
  .transform((text) => new Date(text))
  .refine(isReadableTime, "give a time from the year 1 to 9999");

/** Throws GatewayError `invalid_json`, `invalid_request` or `body_too_large`. */
export async function readBody<T extends z.ZodType>(c: WithRequest, schema: T): Promise<z.output<T>> {
  const text = await bodyText(c.req.raw);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new GatewayError("invalid_json", "the body is not valid JSON");
  }
  return check(schema, value);
}

/** Throws GatewayError `invalid_request`. */
export function readQuery<T extends z.ZodType>(c: WithRequest, schema: T): z.output<T> {
  return check(schema, c.req.query());
}

function check<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path.join(".") ?? "";
  const message = issue?.message ?? "the request is not valid";
  throw new GatewayError("invalid_request", path === "" ? message : `${path}: ${message}`, {
    ...(path !== "" && { param: path }),
  });
}
