/** What the admin APIs answer where something was thrown: the database's own refusals in their words. */
import { GatewayError, toGatewayError } from "../conversation/errors.ts";
import { isStoreAway, isUnreadable } from "../db/store-error.ts";

export function adminError(thrown: unknown): GatewayError {
  if (isStoreAway(thrown))
    return new GatewayError("store_unavailable", "the gateway's database is away", { cause: thrown });
  if (isUnreadable(thrown))
    return new GatewayError(
      "invalid_request",
      "a text or a time in the request is not one that the database can read",
      {
        cause: thrown,
      },
    );
  return toGatewayError(thrown);
}
