/** `evener tenant create NAME` and `evener tenant list`. */
import type { Command } from "commander";
import { z } from "zod";
import { adminClient } from "./admin-client.ts";
import { print, printJson } from "./print.ts";
import { printable, renderTable } from "./table.ts";

const Tenant = z.object({
  id: z.string(),
  name: z.string(),
  created_at: z.string(),
  archived_at: z.string().nullable(),
});
const Listed = z.object({ data: z.array(Tenant.extend({ keys: z.int() })) });

export function register(program: Command): void {
  const tenant = program.command("tenant").description("create and list tenants: who is metered and billed");

  tenant
    .command("create")
    .description("create a tenant")
    .argument("<name>", "letters, digits, spaces and . _ - @ + : /")
    .option("--json", "print JSON")
    .action(async (name: string, options: { json?: true }) => {
      const created = await adminClient().post("/tenants", Tenant, { name });
      if (options.json) return printJson(created);
      print(
        `Created tenant ${printable(created.name)} (${created.id}). Give it a key: evener key create --tenant '${printable(created.name)}'`,
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
          columns: [{ title: "TENANT" }, { title: "KEYS" }, { title: "CREATED" }, { title: "ID" }],
          rows: data.map(({ name, keys, created_at, id }) => [name, keys, created_at.slice(0, 10), id]),
        }),
      );
    });
}
