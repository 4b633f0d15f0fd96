/** Says which names tenants and keys may have: people type them, and they stand in tables, headers and invoices. */
import { GatewayError } from "../conversation/errors.ts";

const NAME = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} ._@+:/-]*[\p{L}\p{M}\p{N}._@+:/-])?$/u;
const LONGEST = 100;
/** As new-id.ts makes them, or one that was not copied whole: commands take either, and a name must not stand for another tenant. */
const TENANT_ID = /^ten_[0-9a-z]{16,}$/;

/** The name in its normal form (NFC). Throws GatewayError `invalid_request`. */
export function validName(what: "tenant" | "key", name: string): string {
  const normal = name.normalize("NFC");
  if (normal.length > LONGEST || !NAME.test(normal))
    throw new GatewayError(
      "invalid_request",
      `the ${what} name is not valid; use 1 to ${LONGEST} letters, digits, spaces and . _ - @ + : /, starting with a letter or digit`,
      { param: "name" },
    );
  if (what === "tenant" && TENANT_ID.test(normal))
    throw new GatewayError(
      "invalid_request",
      `there is no tenant named ${normal}, and none can be: that looks like a tenant's id`,
      {
        param: "name",
      },
    );
  return normal;
}
