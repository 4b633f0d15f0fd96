/** What a change of prices, terms, credit or budgets can concern of what a gateway remembers: a model's price, all of a tenant, or one key's own budgets. */
export type MoneyChange = { model: string } | { tenantId: string; keyId?: string | undefined };
