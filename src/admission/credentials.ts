/** Knows where clients put their key: `Authorization: Bearer`, `x-api-key`, or the same one in both. */
import type { IncomingHttpHeaders } from "node:http";
import { GatewayError } from "../conversation/errors.ts";

const BEARER = /^bearer +(\S.*)$/i;

/**
 * The key that a request carries, unverified. Throws GatewayError `missing_credentials` without one (or with another scheme
 * than Bearer), and `conflicting_credentials` when the two headers carry different ones: which was meant decides who pays.
 */
export function credentialsOf(headers: IncomingHttpHeaders): string {
  const authorization = headers.authorization?.trim();
  const bearer = authorization === undefined || authorization === "" ? undefined : BEARER.exec(authorization)?.[1];
  const header = headers["x-api-key"];
  const apiKey = (Array.isArray(header) ? header.join(", ") : header)?.trim();
  const named = apiKey === undefined || apiKey === "" ? undefined : apiKey;
  if (bearer !== undefined && named !== undefined && bearer !== named)
    throw new GatewayError(
      "conflicting_credentials",
      "Authorization and x-api-key carry different keys; send one of them, or the same in both",
    );
  const key = bearer ?? named;
  if (key === undefined)
    throw new GatewayError(
      "missing_credentials",
      "no key was sent; send `Authorization: Bearer <key>` or `x-api-key: <key>`",
    );
  return key;
}
