/** `POST /admin/v1/prices`, `GET /admin/v1/prices` and `GET /admin/v1/prices/history`. */
import type { Hono } from "hono";
import { z } from "zod";
import { audit } from "../admission/audit.ts";
import { type PriceVersion, addPrice, priceHistory, pricesAt } from "../ledger/admin/prices.ts";
import { formatPrice, parsePrice } from "../ledger/money.ts";
import { moneyChange } from "./admin-change.ts";
import { filterText, readBody, readQuery, timeText } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

/** USD a million tokens, as decimal text: a JSON number would be a float before anybody could look at it. */
export const NewPriceBody = z.strictObject({
  model: filterText,
  input_usd: z.string(),
  cache_read_usd: z.string(),
  cache_write_usd: z.string().optional(),
  output_usd: z.string(),
  valid_from: timeText.optional(),
});
export const PricesQuery = z.strictObject({ at: timeText.optional() });
export const HistoryQuery = z.strictObject({ model: filterText.optional() });

export function priceRoutes(app: Hono<AdminEnv>, options: AdminOptions): void {
  const { store } = options;
  app.post("/prices", async (c) => {
    const body = await readBody(c, NewPriceBody);
    const prices = {
      inputUncached: parsePrice(body.input_usd),
      cacheRead: parsePrice(body.cache_read_usd),
      // What is written to the cache has been computed as any other input.
      cacheWrite: parsePrice(body.cache_write_usd ?? body.input_usd),
      output: parsePrice(body.output_usd),
    };
    const actor = c.get("admin").id;
    const made = await moneyChange(options, async (trx) => {
      const price = await addPrice(trx, actor, { model: body.model, prices, validFrom: body.valid_from });
      const { created_by: _actor, created_at: _at, ...detail } = priceJson(price);
      await audit(trx, { actor, action: "price.set", subject: body.model, detail });
      return { concerns: { model: body.model }, result: priceJson(price) };
    });
    return c.json(made, 201);
  });
  app.get("/prices", async (c) => {
    const { at = new Date() } = readQuery(c, PricesQuery);
    return c.json({ data: (await pricesAt(store.db, at)).map(priceJson) });
  });
  app.get("/prices/history", async (c) => {
    const { model } = readQuery(c, HistoryQuery);
    return c.json({ data: (await priceHistory(store.db, model)).map(priceJson) });
  });
}

function priceJson(price: PriceVersion) {
  return {
    id: `prc_${price.id}`,
    model: price.model,
    valid_from: price.validFrom.toISOString(),
    input_usd: formatPrice(price.inputUncached),
    cache_read_usd: formatPrice(price.cacheRead),
    cache_write_usd: formatPrice(price.cacheWrite),
    output_usd: formatPrice(price.output),
    created_at: price.createdAt.toISOString(),
    created_by: price.createdBy,
  };
}
