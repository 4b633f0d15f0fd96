/** What the parts of one decoding share. */
import type { IgnoredList } from "./ignored.ts";

/** Whether a thinking block's signature is this gateway's own for that text (proper text, as decoded). */
export type VerifySignature = (text: string, signature: string) => boolean;

export type DecodeContext = {
  readonly ignored: IgnoredList;
  readonly verifySignature: VerifySignature;
  /** Tool definitions that stood inside the conversation (`tool_addition`), with their paths, in order. */
  readonly lateTools: { definition: unknown; path: string }[];
  /** The effort that a system message inside the conversation set last. */
  effort: string | undefined;
};

export function createDecodeContext(ignored: IgnoredList, verifySignature: VerifySignature): DecodeContext {
  return { ignored, verifySignature, lateTools: [], effort: undefined };
}
