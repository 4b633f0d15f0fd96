/** `GET /admin/v1/ledger/verify`, `POST /admin/v1/ledger/rebuild` and `GET /admin/v1/ledger/focus?month=…`. */
import type { Hono } from "hono";
import { z } from "zod";
import { focusCsv } from "../ledger/focus/focus-csv.ts";
import { focusRows } from "../ledger/focus/focus-rows.ts";
import { parseMonth } from "../ledger/invoice/month.ts";
import { rebuildRollups } from "../ledger/rollups.ts";
import { verifyLedger } from "../ledger/verify.ts";
import { readBody, readQuery, timeText } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

export const RebuildBody = z.strictObject({ since: timeText.optional() });
export const FocusQuery = z.strictObject({ month: z.string() });

export function ledgerRoutes(app: Hono<AdminEnv>, { store, issuer }: AdminOptions): void {
  app.get("/ledger/verify", async (c) => c.json(await verifyLedger(store.until(c.req.raw.signal))));
  app.post("/ledger/rebuild", async (c) => {
    const { since } = await readBody(c, RebuildBody);
    return c.json(await rebuildRollups(store.until(c.req.raw.signal), since));
  });
  app.get("/ledger/focus", async (c) => {
    const month = parseMonth(readQuery(c, FocusQuery).month);
    const { patient } = store.until(c.req.raw.signal);
    const text = focusCsv(await focusRows(patient, month), month, issuer?.name ?? "Evener");
    return c.body(text, 200, { "content-type": "text/csv; charset=utf-8" });
  });
}
