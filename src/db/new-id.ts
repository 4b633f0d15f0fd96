/** Makes the ids that people see: a prefix that says what it is, and 120 random bits in lower-case letters and digits. */
import { randomBytes } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

export function newId<P extends "ten" | "key" | "adm">(prefix: P): `${P}_${string}` {
  let text = "";
  for (const byte of randomBytes(24)) text += ALPHABET[byte & 31];
  return `${prefix}_${text}`;
}
