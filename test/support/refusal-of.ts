import { expect } from "vitest";
import type { GatewayError } from "../../src/conversation/errors.ts";

/** What a request was refused with. */
export async function refusalOf(promise: Promise<unknown>): Promise<GatewayError> {
  return promise.then(
    () => expect.unreachable("it was not refused"),
    (error: unknown) => error as GatewayError,
  );
}
