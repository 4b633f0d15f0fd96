/**
 * Knows the signature on thinking blocks: how this gateway signs reasoning, and how it tells its own from a stranger's
 * when it comes back in a later request. A keyed hash of the text, so it carries no secret and needs no store.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { ByteText } from "../../conversation/byte-text.ts";

export type ReasoningSigner = {
  sign(text: ByteText): string;
  /** `text` is proper text, as it stands in a decoded request. */
  verify(text: string, signature: string): boolean;
};

/** Four base64 characters that every signature of ours starts with; the last names the layout's version. */
const PREFIX = "Evn1";
const MAC_BYTES = 32;
const LENGTH = PREFIX.length + 44;

/**
 * `secret` is the gateway's own (at least 16 bytes), the same on every replica. With `model`, a signature made for one
 * model is foreign to another; without, reasoning keeps its signature when a session changes between aliases.
 */
export function createSigner(secret: Buffer, model = ""): ReasoningSigner {
  if (secret.length < 16) throw new Error("the signing secret is shorter than 16 bytes");
  const scope = `evener reasoning ${PREFIX}\0${model}\0`;
  const mac = (text: string, encoding: "utf8" | "latin1") =>
    createHmac("sha256", secret).update(scope, "utf8").update(text, encoding).digest();
  return {
    sign: (text) => PREFIX + mac(text, "latin1").toString("base64"),
    verify(text, signature) {
      // Form first: a stranger's signature costs no hash. The form is public, so only the hash needs constant time.
      if (signature.length !== LENGTH || !signature.startsWith(PREFIX)) return false;
      const claimed = Buffer.from(signature.slice(PREFIX.length), "base64");
      return claimed.length === MAC_BYTES && timingSafeEqual(claimed, mac(text, "utf8"));
    },
  };
}
