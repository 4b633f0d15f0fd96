/** Who calls the organization's API: an administrator, or a tenant with its own key. */
import type { Context } from "hono";
import type { Admin } from "../admission/admin-keys.ts";
import { credentialsOf } from "../admission/credentials.ts";
import { isKey } from "../admission/key-format.ts";
import type { Principal } from "../admission/key-store.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { AdminOptions } from "./admin.ts";

export type Caller = { kind: "admin"; admin: Admin } | { kind: "key"; principal: Principal };
export type OrganizationEnv = { Variables: { caller: Caller; requestId: string } };

/** Throws GatewayError `missing_credentials`, `conflicting_credentials`, `unknown_key` or `store_unavailable`. */
export async function callerOf(
  c: Context<OrganizationEnv>,
  { adminKeys, keyRing }: Pick<AdminOptions, "adminKeys" | "keyRing">,
): Promise<Caller> {
  const secret = credentialsOf(c.req.header());
  if (isKey("virtual", secret)) return { kind: "key", principal: await keyRing.authenticate(secret) };
  const admin = await adminKeys.find(secret);
  if (admin === undefined)
    throw new GatewayError("unknown_key", "this is neither an admin key of this gateway nor a tenant's key");
  return { kind: "admin", admin };
}

/** For routes that no tenant's key reaches. */
export function adminOf(c: Context<OrganizationEnv>): Admin {
  const caller = c.get("caller");
  if (caller.kind !== "admin") throw new GatewayError("forbidden", "use an admin key");
  return caller.admin;
}
