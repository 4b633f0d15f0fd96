/** `GET /admin/v1/usage?by=…`: sums by group, or single requests a page at a time. */
import type { Hono } from "hono";
import { z } from "zod";
import { withMadeCost } from "../ledger/admin/engine-cost.ts";
import { USAGE_GROUPINGS, usageByGroup, usageByRequest } from "../ledger/usage-report.ts";
import { filterText, readQuery, timeText } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

export const UsageQuery = z.strictObject({
  by: z.enum([...USAGE_GROUPINGS, "request"]).default("tenant"),
  tenant: filterText.optional(),
  since: timeText.optional(),
  until: timeText.optional(),
  limit: z.coerce.number().int().min(1).max(5_000).default(1_000),
  after: z.string().optional(),
});

export function usageRoutes(app: Hono<AdminEnv>, { store, engineCosts = new Map() }: AdminOptions): void {
  app.get("/usage", async (c) => {
    const reported = store.until(c.req.raw.signal);
    const { by, limit, after, ...filter } = readQuery(c, UsageQuery);
    if (by !== "request") {
      const groups = await usageByGroup(reported, by, filter);
      return c.json({ by, data: await withMadeCost(reported, by, filter, groups, engineCosts), next: null });
    }
    const { rows, next } = await usageByRequest(reported, filter, { limit, after });
    return c.json({ by, data: rows, next });
  });
}
