/** What the parts of one decoding share. */
import type { IgnoredList } from "./ignored.ts";

/**
 * Whether a thinking block's signature is this gateway's own for that text (proper text, as decoded), thought by the model that the client
 * now asks for under this name.
 */
export type VerifySignature = (text: string, signature: string, model: string) => boolean;

export type DecodeContext = {
  readonly ignored: IgnoredList;
  /** Whether thinking is the asked model's own. */
  readonly isOwn: (text: string, signature: string) => boolean;
  /** Tool definitions that stood inside the conversation (`tool_addition`), with their paths, in order. */
  readonly lateTools: { definition: unknown; path: string }[];
  /** The effort that a system message inside the conversation set last. */
  effort: string | undefined;
};

export function createDecodeContext(
  ignored: IgnoredList,
  model: string,
  verifySignature: VerifySignature,
): DecodeContext {
  const isOwn = (text: string, signature: string) => verifySignature(text, signature, model);
  return { ignored, isOwn, lateTools: [], effort: undefined };
}
