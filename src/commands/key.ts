/** `evener key create|list|update|revoke`. */
import { type Command, InvalidArgumentError } from "commander";
import { z } from "zod";
import { adminClient } from "./admin-client.ts";
import { CliError } from "./cli-error.ts";
import { print, printJson } from "./print.ts";
import { printable, renderTable } from "./table.ts";
import { parseExpiry } from "./time-option.ts";

const Key = z.object({
  id: z.string(),
  tenant: z.string(),
  tenant_id: z.string(),
  tenant_archived_at: z.string().nullable(),
  name: z.string(),
  hint: z.string(),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  models: z.array(z.string()).nullable(),
  revoked_at: z.string().nullable(),
  last_used_at: z.string().nullable(),
});
const CreatedKey = Key.extend({ key: z.string(), tenant_created: z.boolean() });
const Listed = z.object({ data: z.array(Key) });

export function register(program: Command): void {
  const key = program.command("key").description("create, list, change and revoke tenants' virtual keys");

  key
    .command("create")
    .description("create a key, and its tenant if that is new; the key is shown once")
    .requiredOption("--tenant <name>", "whose key it is; its name or id")
    .option("--name <name>", "what it is for", "default")
    .option(
      "--expires <time>",
      "until when it works: 2027-01-31 (its midnight, UTC), 90d; without it, until revoked",
      expiry,
    )
    .option("--models <names>", "the only models it may use, by their served names, with commas between", modelNames)
    .option("--json", "print JSON")
    .action(async ({ tenant, name, expires, models, json }: CreateOptions) => {
      const body = { tenant, name, expires_at: expires?.toISOString(), models };
      const created = await adminClient().post("/keys", CreatedKey, body);
      if (json) return printJson(created);
      print(`${created.key}\n\nThis is the only time the key is shown; only a keyed hash of it is stored.`);
      print(`Tenant ${printable(created.tenant)}, name ${printable(created.name)}, id ${created.id}`);
      if (expires !== undefined || models !== undefined) print(limits(created));
      if (created.tenant_created)
        print(
          `The tenant is new: it is postpaid and has no limit. Change that with: evener tenant terms '${printable(created.tenant)}' …`,
        );
    });

  key
    .command("list")
    .description("list the keys, revoked ones included")
    .option("--tenant <name>", "only this tenant's")
    .option("--json", "print JSON")
    .action(async (options: { tenant?: string; json?: true }) => {
      const { data } = await adminClient().get("/keys", Listed, { tenant: options.tenant });
      if (options.json) return printJson(data);
      if (data.length === 0) return print("No keys yet. Create one with: evener key create --tenant NAME");
      print(
        renderTable({
          columns: [
            ...["TENANT", "NAME", "KEY", "STATE", "EXPIRES (UTC)"].map((title) => ({ title })),
            { title: "MODELS", most: 40, spare: 3 },
            { title: "CREATED", spare: 1 },
            { title: "LAST USED", spare: 2 },
            { title: "ID" },
          ],
          rows: data.map((row) => [
            row.tenant,
            row.name,
            row.hint,
            keyState(row),
            row.expires_at === null ? "never" : minute(row.expires_at),
            row.models?.join(", ") ?? "all",
            row.created_at.slice(0, 10),
            row.last_used_at === null ? "never" : minute(row.last_used_at),
            row.id,
          ]),
        }),
      );
    });

  key
    .command("update")
    .description("change when a key expires and which models it may use; what is not given stays")
    .argument("<id>", "the key's id, as in key_…")
    .option("--expires <time>", "until when it works: 2027-01-31, 90d, or never", (text) =>
      text === "never" ? text : expiry(text),
    )
    .option("--models <names>", "the only models it may use, with commas between, or all", (text) =>
      text === "all" ? text : modelNames(text),
    )
    .option("--json", "print JSON")
    .action(async (id: string, { expires, models, json }: UpdateOptions) => {
      if (expires === undefined && models === undefined)
        throw new CliError("nothing to change; give --expires or --models", 2);
      const body = {
        expires_at: expires === "never" ? null : expires?.toISOString(),
        models: models === "all" ? null : models,
      };
      const changed = await adminClient().post(`/keys/${encodeURIComponent(id)}`, Key, body);
      if (json) return printJson(changed);
      print(`Changed key ${printable(changed.name)} of tenant ${printable(changed.tenant)} (${changed.id}).`);
      print(limits(changed));
    });

  key
    .command("revoke")
    .description("revoke a key for good; requests with it are refused from now on")
    .argument("<id>", "the key's id, as in key_…")
    .option("--json", "print JSON")
    .action(async (id: string, options: { json?: true }) => {
      const revoked = await adminClient().post(`/keys/${encodeURIComponent(id)}/revoke`, Key, {});
      if (options.json) return printJson(revoked);
      print(`Revoked key ${printable(revoked.name)} of tenant ${printable(revoked.tenant)} (${revoked.id}).`);
    });
}

type CreateOptions = { tenant: string; name: string; expires?: Date; models?: string[]; json?: true };
type UpdateOptions = { expires?: Date | "never"; models?: string[] | "all"; json?: true };

function expiry(text: string): Date {
  return parseExpiry(text);
}

function modelNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new InvalidArgumentError("Give served names with commas between: a,b.");
  return names;
}

function limits({ expires_at, models }: z.infer<typeof Key>): string {
  const until = expires_at === null ? "Never expires" : `Expires ${minute(expires_at)} UTC`;
  return `${until}; may use ${models === null ? "all models" : printable(models.join(", "))}`;
}

function keyState(key: z.infer<typeof Key>): string {
  if (key.revoked_at !== null) return "revoked";
  if (key.tenant_archived_at !== null) return "archived";
  return key.expires_at !== null && Date.parse(key.expires_at) <= Date.now() ? "expired" : "active";
}

/** `2026-11-22T17:31:04.123Z` as `2026-11-22 17:31` (UTC). */
function minute(time: string): string {
  return time.slice(0, 16).replace("T", " ");
}
