/**
 * Request ids: `req_`, the time, and 16 random characters. Unique without asking anybody, safe in headers, logs and file names, and in the
 * order of time, so that the database writes them at the end of its indexes and not all over them.
 */
import { randomFillSync } from "node:crypto";

const RANDOM_BYTES = 12;
const POOL_BYTES = RANDOM_BYTES * 256;
const pool = Buffer.allocUnsafe(POOL_BYTES);
let used = POOL_BYTES;

/** Milliseconds since 1970 to the base of 36: as long until the year 2059, and digits come before letters in every collation. */
const TIME_DIGITS = 8;
let timeAt = Number.NaN;
let time = "";

/** Random bytes are drawn 256 ids at a time: a system call for each would cost more than the rest of the id. */
export function newRequestId(): string {
  if (used === POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const now = Date.now();
  if (now !== timeAt) {
    timeAt = now;
    time = now.toString(36).padStart(TIME_DIGITS, "0");
  }
  const id = pool.toString("base64url", used, used + RANDOM_BYTES);
  used += RANDOM_BYTES;
  return `req_${time}${id}`;
}
