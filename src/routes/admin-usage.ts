/** `GET /admin/v1/usage?by=…`: sums by group, or single requests a page at a time. */
import type { Hono } from "hono";
import { z } from "zod";
import { USAGE_GROUPINGS, usageByGroup, usageByRequest } from "../ledger/usage-report.ts";
import { filterText, readQuery } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

const time = z.iso
  .datetime({ offset: true, error: "give a time as in 2026-11-22T09:00:00Z" })
  .transform((text) => new Date(text));

const Query = z.strictObject({
  by: z.enum([...USAGE_GROUPINGS, "request"]).default("tenant"),
  tenant: filterText.optional(),
  since: time.optional(),
  until: time.optional(),
  limit: z.coerce.number().int().min(1).max(5_000).default(1_000),
  after: z.string().optional(),
});

export function usageRoutes(app: Hono<AdminEnv>, { store }: AdminOptions): void {
  app.get("/usage", async (c) => {
    const { by, limit, after, ...filter } = readQuery(c, Query);
    if (by !== "request") return c.json({ by, data: await usageByGroup(store, by, filter), next: null });
    const { rows, next } = await usageByRequest(store, filter, { limit, after });
    return c.json({ by, data: rows, next });
  });
}
