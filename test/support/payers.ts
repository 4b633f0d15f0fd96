/** Prices, tenants, budgets and credit of a running gateway, set through its admin API as a person would. */
import { expect } from "vitest";
import type { RunningEvener } from "./evener.ts";
import { send } from "./http.ts";

export type Payer = { tenant: string; key: string; keyId: string };

export type Payers = {
  /** USD a million tokens. */
  price(model: string, usd: { input: string; cacheRead: string; output: string }): Promise<void>;
  /** A new tenant with a key. With `credit` it is prepaid; else it is postpaid and has no limit. */
  payer(options?: { credit?: string }): Promise<Payer>;
  credit(payer: Payer, usd: string): Promise<void>;
  budget(owner: { tenant: string } | { key: string }, period: "day" | "week" | "month", usd: string): Promise<void>;
  /** Of a tenant. */
  account(tenant: string): Promise<{ balance_usd: string; held_usd: string }>;
  /** As `evener ledger verify` does; throws with what is broken. */
  verify(): Promise<void>;
};

let made = 0;

export function payersOf({ url, adminKey }: Pick<RunningEvener, "url" | "adminKey">): Payers {
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const headers = { authorization: `Bearer ${adminKey}` };
    const { status, text } = await send(`${url}/admin/v1/${path}`, { method, headers, ...(body && { body }) });
    expect(status, `${path}: ${text}`).toBeLessThan(300);
    return JSON.parse(text) as T;
  };
  const credit = (tenant: string, usd: string) => call("POST", `tenants/${tenant}/credits`, { amount_usd: usd });
  return {
    async price(model, { input, cacheRead, output }) {
      await call("POST", "prices", { model, input_usd: input, cache_read_usd: cacheRead, output_usd: output });
    },
    async payer(options = {}) {
      const tenant = `tenant-${process.pid}-${++made}`;
      await call("POST", "tenants", { name: tenant, terms: options.credit === undefined ? "postpaid" : "prepaid" });
      if (options.credit !== undefined) await credit(tenant, options.credit);
      const { key, id } = await call<{ key: string; id: string }>("POST", "keys", { tenant });
      return { tenant, key, keyId: id };
    },
    async credit({ tenant }, usd) {
      await credit(tenant, usd);
    },
    async budget(owner, period, usd) {
      await call("POST", "budgets", { ...owner, period, amount_usd: usd });
    },
    async account(name) {
      type Listed = { data: { name: string; balance_usd: string; held_usd: string }[] };
      const { data } = await call<Listed>("GET", "tenants");
      const found = data.find((tenant) => tenant.name === name);
      if (found === undefined) throw new Error(`no tenant ${name}`);
      return found;
    },
    async verify() {
      const { ok, checks } = await call<{ ok: boolean; checks: { rule: string; rows: unknown[] }[] }>(
        "GET",
        "ledger/verify",
      );
      const broken = checks.filter(({ rows }) => rows.length > 0);
      expect({ ok, broken }).toEqual({ ok: true, broken: [] });
    },
  };
}
