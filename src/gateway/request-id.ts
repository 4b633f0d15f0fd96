/** Request ids: `req_` and 24 random characters, unique without asking anybody, safe in headers, logs and file names. */
import { randomFillSync } from "node:crypto";

const POOL_BYTES = 18 * 256;
const pool = Buffer.allocUnsafe(POOL_BYTES);
let used = POOL_BYTES;

/** Random bytes are drawn 256 ids at a time: a system call for each would cost more than the rest of the id. */
export function newRequestId(): string {
  if (used === POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.toString("base64url", used, used + 18);
  used += 18;
  return `req_${id}`;
}
