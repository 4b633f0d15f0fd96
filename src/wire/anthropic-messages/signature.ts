/**
 * Knows the signature on thinking blocks: how this gateway signs reasoning, and how it tells its own from a stranger's
 * when it comes back in a later request. A keyed hash of the text, so it carries no secret and needs no store.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { ByteText } from "../../conversation/byte-text.ts";

/** `model` is the id of the model that thinks: what one model thought is foreign to another. */
export type ReasoningSigner = {
  sign(text: ByteText, model: string): string;
  /** `text` is proper text, as it stands in a decoded request. */
  verify(text: string, signature: string, model: string): boolean;
};

/** Four base64 characters that every signature of ours starts with; the last names the layout's version. */
const PREFIX = "Evn1";
const MAC_BYTES = 32;
const LENGTH = PREFIX.length + 44;

/** `secret` is the gateway's own (at least 16 bytes), the same on every replica. */
export function createSigner(secret: Buffer): ReasoningSigner {
  if (secret.length < 16) throw new Error("the signing secret is shorter than 16 bytes");
  const mac = (text: string, encoding: "utf8" | "latin1", model: string) =>
    createHmac("sha256", secret)
      .update(`evener reasoning ${PREFIX}\0${model}\0`, "utf8")
      .update(text, encoding)
      .digest();
  return {
    sign: (text, model) => PREFIX + mac(text, "latin1", model).toString("base64"),
    verify(text, signature, model) {
      // Form first: a stranger's signature costs no hash. The form is public, so only the hash needs constant time.
      if (signature.length !== LENGTH || !signature.startsWith(PREFIX)) return false;
      const claimed = Buffer.from(signature.slice(PREFIX.length), "base64");
      return claimed.length === MAC_BYTES && timingSafeEqual(claimed, mac(text, "utf8", model));
    },
  };
}
