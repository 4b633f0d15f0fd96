/** `evener admin-key create|list|revoke`: who may use the admin API, and whether to read or to write. */
import type { Command } from "commander";
import { z } from "zod";
import { adminClient } from "./admin-client.ts";
import { CliError } from "./cli-error.ts";
import { print, printJson } from "./print.ts";
import { printable, renderTable } from "./table.ts";

const AdminKey = z.object({
  id: z.string(),
  name: z.string(),
  access: z.enum(["read", "write"]),
  hint: z.string().nullable(),
  created_at: z.string(),
  created_by: z.string().nullable(),
  revoked_at: z.string().nullable(),
});
const Created = AdminKey.extend({ key: z.string() });
const Listed = z.object({ data: z.array(AdminKey) });

export function register(program: Command): void {
  const adminKey = program.command("admin-key").description("create, list and revoke keys of the admin API");

  adminKey
    .command("create")
    .description("create an admin key; it is shown once")
    .option("--read", "it may read: usage, costs, budgets, invoices")
    .option("--write", "it may change everything as well")
    .option("--name <name>", "what it is for", "default")
    .option("--json", "print JSON")
    .action(async ({ read, write, name, json }: { read?: true; write?: true; name: string; json?: true }) => {
      if ((read === undefined) === (write === undefined))
        throw new CliError("what may it do? give --read or --write", 2);
      const access = read ? "read" : "write";
      const created = await adminClient().post("/admin-keys", Created, { name, access });
      if (json) return printJson(created);
      print(`${created.key}\n\nThis is the only time the key is shown; only a keyed hash of it is stored.`);
      print(`Admin key ${printable(created.name)}, may ${access}, id ${created.id}`);
    });

  adminKey
    .command("list")
    .description("list the admin keys, revoked ones included")
    .option("--json", "print JSON")
    .action(async (options: { json?: true }) => {
      const { data } = await adminClient().get("/admin-keys", Listed);
      if (options.json) return printJson(data);
      print(
        renderTable({
          columns: ["NAME", "KEY", "ACCESS", "STATE", "CREATED", "ID"].map((title) => ({ title })),
          rows: data.map((row) => [
            row.name,
            row.hint ?? "given at start",
            row.access,
            row.revoked_at === null ? "active" : "revoked",
            row.created_at.slice(0, 10),
            row.id,
          ]),
        }),
      );
    });

  adminKey
    .command("revoke")
    .description("revoke an admin key for good, at once")
    .argument("<id>", "the key's id, as in adm_…")
    .option("--json", "print JSON")
    .action(async (id: string, options: { json?: true }) => {
      const revoked = await adminClient().post(`/admin-keys/${encodeURIComponent(id)}/revoke`, AdminKey, {});
      if (options.json) return printJson(revoked);
      print(`Revoked admin key ${printable(revoked.name)} (${revoked.id}).`);
    });
}
