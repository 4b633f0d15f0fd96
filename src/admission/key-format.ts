/**
 * Knows what a key looks like: `ev-` (virtual key) or `ev-admin-`, 256 random bits in base64url, `_evk`, and a checksum, so that
 * secret scanners can match it (docs/tenants-and-keys.md has the pattern) and a mistyped key is told without asking the database.
 */
import { createHmac, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

export type KeyKind = "virtual" | "admin";

const PREFIX: Record<KeyKind, string> = { virtual: "ev-", admin: "ev-admin-" };
const PATTERN: Record<KeyKind, RegExp> = {
  virtual: /^ev-[A-Za-z0-9_-]{43}_evk[0-9a-z]{7}$/,
  admin: /^ev-admin-[A-Za-z0-9_-]{43}_evk[0-9a-z]{7}$/,
};
const CHECKSUM_LENGTH = 7;

export function newKey(kind: KeyKind): string {
  const body = `${PREFIX[kind]}${randomBytes(32).toString("base64url")}_evk`;
  return body + checksum(body);
}

/** Whether a text is a key that some gateway could have made: form and checksum. */
export function isKey(kind: KeyKind, text: string): boolean {
  if (!PATTERN[kind].test(text)) return false;
  const at = text.length - CHECKSUM_LENGTH;
  return checksum(text.slice(0, at)) === text.slice(at);
}

/** CRC-32 in base 36, seven digits. */
function checksum(body: string): string {
  return crc32(body).toString(36).padStart(CHECKSUM_LENGTH, "0");
}

/** What lists show of a virtual key: enough to tell one's own apart, of no use to anybody else. */
export function keyHint(key: string): string {
  return `${key.slice(0, 7)}…`;
}

/** What is stored of a key, and what it is looked up by: 32 bytes. */
export function hashKey(pepper: Buffer, key: string): Buffer {
  return createHmac("sha256", pepper).update(key).digest();
}
