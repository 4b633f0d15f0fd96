/** Why an engine gave no answer, in words for people. */
import { GatewayError } from "../conversation/errors.ts";

/** Throws on what is no failure of the engine: a mistake of our own is no finding. */
export function reasonOf(error: unknown): string {
  if (error instanceof GatewayError) return error.message;
  throw error;
}
