/** `evener key create`, `evener key list` and `evener key revoke`. */
import type { Command } from "commander";
import { z } from "zod";
import { adminClient } from "./admin-client.ts";
import { print, printJson } from "./print.ts";
import { printable, renderTable } from "./table.ts";

const Key = z.object({
  id: z.string(),
  tenant: z.string(),
  tenant_id: z.string(),
  name: z.string(),
  hint: z.string(),
  created_at: z.string(),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
  last_used_at: z.string().nullable(),
});
const CreatedKey = Key.extend({ key: z.string() });
const Listed = z.object({ data: z.array(Key) });

export function register(program: Command): void {
  const key = program.command("key").description("create, list and revoke tenants' virtual keys");

  key
    .command("create")
    .description("create a key, and its tenant if that is new; the key is shown once")
    .requiredOption("--tenant <name>", "whose key it is")
    .option("--name <name>", "what it is for", "default")
    .option("--json", "print JSON")
    .action(async (options: { tenant: string; name: string; json?: true }) => {
      const created = await adminClient().post("/keys", CreatedKey, { tenant: options.tenant, name: options.name });
      if (options.json) return printJson(created);
      print(`${created.key}\n\nThis is the only time the key is shown; only a keyed hash of it is stored.`);
      print(`Tenant ${printable(created.tenant)}, name ${printable(created.name)}, id ${created.id}`);
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
          columns: ["TENANT", "NAME", "KEY", "STATE", "CREATED", "LAST USED", "ID"].map((title) => ({ title })),
          rows: data.map((row) => [
            row.tenant,
            row.name,
            row.hint,
            keyState(row),
            row.created_at.slice(0, 10),
            row.last_used_at === null ? "never" : minute(row.last_used_at),
            row.id,
          ]),
        }),
      );
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

function keyState(key: z.infer<typeof Key>): string {
  if (key.revoked_at !== null) return "revoked";
  if (key.expires_at === null) return "active";
  return Date.parse(key.expires_at) <= Date.now() ? "expired" : `until ${key.expires_at.slice(0, 10)}`;
}

/** `2026-11-22T17:31:04.123Z` as `2026-11-22 17:31` (UTC). */
function minute(time: string): string {
  return time.slice(0, 16).replace("T", " ");
}
