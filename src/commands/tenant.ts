/** `evener tenant create|list|terms|credit|rename|archive`: who is metered and billed, on which terms, and what they paid. */
import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { z } from "zod";
import { NoAnswer, adminClient } from "./admin-client.ts";
import { CliError } from "./cli-error.ts";
import { print, printJson } from "./print.ts";
import { printable, renderTable } from "./table.ts";

const Tenant = z.object({
  id: z.string(),
  name: z.string(),
  created_at: z.string(),
  archived_at: z.string().nullable(),
  terms: z.enum(["prepaid", "postpaid"]),
  credit_limit_usd: z.string().nullable(),
  balance_usd: z.string(),
  held_usd: z.string(),
});
const Changed = Tenant.omit({ created_at: true, archived_at: true });
const Credit = z.object({
  id: z.string(),
  tenant: z.string(),
  amount_usd: z.string(),
  note: z.string().nullable(),
  at: z.string(),
  balance_usd: z.string(),
});
const Listed = z.object({ data: z.array(Tenant.extend({ keys: z.int() })) });

export function register(program: Command): void {
  const tenant = program.command("tenant").description("create and list tenants: who is metered and billed");

  tenant
    .command("create")
    .description("create a tenant")
    .argument("<name>", "letters, digits, spaces and . _ - @ + : /")
    .option("--prepaid", "it pays first: requests are refused when its credit is spent")
    .option("--postpaid", "it pays later (as without either)")
    .option("--credit-limit <usd>", "how much a postpaid tenant may owe; without it, no limit")
    .option("--json", "print JSON")
    .action(async (name: string, options: TermsOptions) => {
      const created = await adminClient().post("/tenants", Tenant, { name, ...termsOf(options) });
      if (options.json) return printJson(created);
      print(
        `Created ${created.terms} tenant ${printable(created.name)} (${created.id}). Give it a key: evener key create --tenant '${printable(created.name)}'`,
      );
    });

  tenant
    .command("list")
    .description("list the tenants")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }) => {
      const { data } = await adminClient().get("/tenants", Listed);
      if (options.json) return printJson(data);
      if (data.length === 0) return print("No tenants yet. Create one with: evener tenant create NAME");
      print(
        renderTable({
          columns: [
            { title: "TENANT" },
            { title: "STATE" },
            { title: "KEYS" },
            { title: "TERMS" },
            { title: "BALANCE USD", align: "right" },
            { title: "HELD USD", align: "right", spare: 3 },
            { title: "LIMIT USD", align: "right" },
            { title: "CREATED", spare: 1 },
            { title: "ID", spare: 2 },
          ],
          rows: data.map((row) => [
            row.name,
            row.archived_at === null ? "active" : "archived",
            row.keys,
            row.terms,
            row.balance_usd,
            row.held_usd,
            row.credit_limit_usd,
            row.created_at.slice(0, 10),
            row.id,
          ]),
        }),
      );
    });

  tenant
    .command("terms")
    .description("change how a tenant pays")
    .argument("<name>", "the tenant")
    .option("--prepaid", "it pays first: requests are refused when its credit is spent")
    .option("--postpaid", "it pays later")
    .option("--credit-limit <usd>", "how much a postpaid tenant may owe; without it, no limit")
    .option("--json", "print JSON")
    .action(async (name: string, options: TermsOptions) => {
      const terms = termsOf(options);
      if (terms.terms === undefined) throw new CliError("which terms? give --prepaid or --postpaid", 2);
      const changed = await adminClient().post(`/tenants/${encodeURIComponent(name)}/terms`, Changed, terms);
      if (options.json) return printJson(changed);
      const limit = changed.credit_limit_usd === null ? "" : `, credit limit USD ${changed.credit_limit_usd}`;
      print(`Tenant ${printable(changed.name)} is ${changed.terms} now${limit}; balance USD ${changed.balance_usd}.`);
    });

  tenant
    .command("credit")
    .description("pay an amount into a tenant's account, or out of it with one below zero")
    .argument("<name>", "the tenant")
    .argument("<usd>", "the amount, as in 50, 12.50 or -5")
    .option("--note <text>", "what it is; stands on the invoice")
    .option("--once <text>", "pay in once, however often it is called with this text, such as a transfer's number")
    .option("--json", "print JSON")
    .action(async (name: string, usd: string, options: { note?: string; once?: string; json?: true }) => {
      const body = { amount_usd: usd, note: options.note };
      const once = options.once ?? randomUUID();
      if (!/^[\x21-\x7e]{1,200}$/.test(once))
        throw new CliError("--once takes 1 to 200 letters, digits and signs, without spaces, as in 2026-11-4711", 2);
      const path = `/tenants/${encodeURIComponent(name)}/credits`;
      const credit = await adminClient()
        .post(path, Credit, body, once)
        .catch((error: unknown) => {
          if (!(error instanceof NoAnswer)) throw error;
          throw new CliError(`${error.message}; it may have been paid in: call again with --once ${once}`, 1, error);
        });
      if (options.json) return printJson(credit);
      const whose = printable(credit.tenant);
      const done = credit.amount_usd.startsWith("-")
        ? `Took USD ${credit.amount_usd.slice(1)} out of the account of ${whose}`
        : `Credited ${whose} with USD ${credit.amount_usd}`;
      print(`${done}; balance USD ${credit.balance_usd} (${credit.id}).`);
    });

  tenant
    .command("rename")
    .description("give a tenant another name; its keys, usage and invoices stay")
    .argument("<name>", "the tenant")
    .argument("<new-name>", "letters, digits, spaces and . _ - @ + : /")
    .option("--json", "print JSON")
    .action(async (name: string, newName: string, options: { json?: true }) => {
      const renamed = await adminClient().post(`/tenants/${encodeURIComponent(name)}/name`, Tenant, { name: newName });
      if (options.json) return printJson(renamed);
      print(`Tenant ${printable(name)} is ${printable(renamed.name)} now (${renamed.id}).`);
    });

  tenant
    .command("archive")
    .description("end a tenant for good: its keys are refused; its usage, invoices and balance stay")
    .argument("<name>", "the tenant")
    .option("--json", "print JSON")
    .action(async (name: string, options: { json?: true }) => {
      const archived = await adminClient().post(`/tenants/${encodeURIComponent(name)}/archive`, Tenant, {});
      if (options.json) return printJson(archived);
      print(
        `Archived tenant ${printable(archived.name)} (${archived.id}): its keys are refused from now on, by other gateways within ten seconds. Its usage, invoices and balance (USD ${archived.balance_usd}) stay.`,
      );
    });
}

type TermsOptions = { prepaid?: true; postpaid?: true; creditLimit?: string; json?: true };

function termsOf({ prepaid, postpaid, creditLimit }: TermsOptions) {
  if (prepaid && postpaid) throw new CliError("--prepaid and --postpaid exclude each other; give one of them", 2);
  if (prepaid && creditLimit !== undefined)
    throw new CliError("a prepaid tenant has no credit limit; leave out --credit-limit", 2);
  const terms = prepaid ? "prepaid" : postpaid || creditLimit !== undefined ? "postpaid" : undefined;
  return { terms, credit_limit_usd: creditLimit };
}
