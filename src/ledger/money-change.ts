/** What a change of prices, terms, credit or budgets can concern of what a gateway remembers: a model's price, all of a tenant, or one key's own budgets. */

export type MoneyChange = { model: string } | { tenantId: string; keyId?: string | undefined };

/** For what nobody knows any better. */
export const EVERYTHING = "everything";

/** The actions of the audit log that tell of one. */
export const MONEY_ACTIONS = ["price.set", "tenant.terms", "tenant.credit", "budget.set", "budget.remove"] as const;

export type MoneyAction = (typeof MONEY_ACTIONS)[number];

/** Of an entry of the audit log; `tenant` and `key` are its detail's, which budgets have. */
export function changeOf(entry: {
  action: MoneyAction;
  subject: string;
  tenant: string | null;
  key: string | null;
}): MoneyChange {
  const { action, subject, tenant, key } = entry;
  if (action === "price.set") return { model: subject };
  return { tenantId: tenant ?? subject, keyId: key ?? undefined };
}
