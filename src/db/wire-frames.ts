/**
 * Knows just enough of Postgres' wire protocol to stand between a client and PGlite: where a request is complete, and the greeting that
 * PGlite itself never sends.
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** What a client says first has no type byte. */
const STARTUP = -1;
const QUERY = 0x51;
const SYNC = 0x53;
const TERMINATE = 0x58;

/** AuthenticationOk and ReadyForQuery (idle): all that a client needs to hear before its first statement. */
export const GREETING = new Uint8Array([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);

export type Request = { kind: "startup" | "terminate" } | { kind: "statement"; bytes: Uint8Array };

/**
 * Splits what a client sends into requests: bytes up to and including a Query or Sync, which Postgres answers with
 * ReadyForQuery. Bytes may come in any pieces.
 */
export function requestReader(): (bytes: Uint8Array) => Request[] {
  let held = new Uint8Array(0);
  let started = false;

  return (bytes) => {
    held = held.length === 0 ? bytes.slice() : concat(held, bytes);
    const view = new DataView(held.buffer, held.byteOffset, held.byteLength);
    const requests: Request[] = [];
    let from = 0;
    let at = 0;
    for (;;) {
      const header = started ? 5 : 4;
      if (held.length - at < header) break;
      const type = started ? view.getUint8(at) : STARTUP;
      const end = at + header - 4 + view.getUint32(at + header - 4);
      if (end > held.length) break;
      if (type === QUERY || type === SYNC) requests.push({ kind: "statement", bytes: held.subarray(from, end) });
      else if (type === STARTUP) requests.push({ kind: "startup" });
      else if (type === TERMINATE) requests.push({ kind: "terminate" });
      at = end;
      if (type === QUERY || type === SYNC || type === STARTUP || type === TERMINATE) from = end;
      started = true;
    }
    held = held.subarray(from);
    return requests;
  };
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
