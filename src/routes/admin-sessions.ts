/** `GET /admin/v1/sessions/{id}`: one session, request by request. */
import type { Hono } from "hono";
import { z } from "zod";
import { readSession } from "../ledger/admin/session.ts";
import { filterText, readQuery } from "./admin-input.ts";
import type { AdminEnv, AdminOptions } from "./admin.ts";

export const SessionQuery = z.strictObject({ tenant: filterText.optional() });

export function sessionRoutes(app: Hono<AdminEnv>, { store }: AdminOptions): void {
  app.get("/sessions/:id{.+}", async (c) => {
    const { tenant } = readQuery(c, SessionQuery);
    const id = c.req.param("id").replaceAll("\0", "");
    return c.json(await readSession(store.db, id, tenant));
  });
}
