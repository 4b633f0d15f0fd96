/** What can be wrong with the store, told apart from mistakes in a statement: only the former may pass by themselves. */

/**
 * `locked`: another process has the data directory. `unavailable`: cannot be reached, or was lost on the way.
 * `refused`: wrong password, no such database, no right to make tables, no TLS as the URL has it.
 * `cancelled`: whoever asked no longer waits for the answer.
 * `schema_newer`, `migration_changed`: the database and this program do not belong together.
 */
export type StoreErrorCode = "locked" | "unavailable" | "refused" | "cancelled" | "schema_newer" | "migration_changed";

/** `message` is one line for people: what is wrong and what to do. It holds no password. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "StoreError";
    this.code = code;
  }
}

/** Node's codes for a connection that could not be made or broke. */
const LOST = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "EPIPE",
  "ENOENT",
]);

/**
 * SQLSTATEs of a server that cannot work now: connection exceptions (08), lack of resources (53: disk full, too many
 * connections), operator intervention (57: shutting down, starting up, statement timeout), system errors (58), and a
 * server that has become read only (25006, a failover).
 */
const AWAY = /^(?:08...|53...|57...|58...|25006)$/;

/** pg's and Kysely's own failures carry no code at all. */
const CODELESS = [
  "Connection terminated",
  "timeout exceeded when trying to connect",
  "Query read timeout",
  "Client has encountered a connection error",
  "Cannot use a pool after calling end on the pool",
  "Client was closed",
  "driver has already been destroyed",
];

/** Whether a thrown value says that the store is away, so that the same statement may succeed later. */
export function isStoreAway(error: unknown): boolean {
  if (error instanceof StoreError) return error.code === "unavailable";
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isStoreAway);
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string") return LOST.has(code) || AWAY.test(code);
  return CODELESS.some((text) => error.message.startsWith(text));
}

/** Whether a thrown value is the server's refusal to let this user do what it must (28: log in; 3D000: database; 42501: rights). */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^(?:28...|3D000|42501)$/.test(code);
}

/** What keeps a connection from being the encrypted one that the URL asks for, and what to do; undefined for any other error. */
export function tlsProblem(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // pg's own, without a code.
  if (error.message === "The server does not support SSL connections")
    return "has no TLS, which the URL asks for; turn it on there (ssl = on), or give the URL without sslmode";
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string" && /CERT|LEAF_SIGNATURE|HOSTNAME_MISMATCH/.test(code))
    return `has a certificate that is not accepted: ${error.message}; name its authority's with sslrootcert=FILE in the URL`;
  return undefined;
}

/** Whether a thrown value is the named unique constraint (or any unique constraint) refusing a row. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (!(error instanceof Error)) return false;
  const { code, constraint: name } = error as { code?: unknown; constraint?: unknown };
  return code === "23505" && (constraint === undefined || name === constraint);
}

/** Whether a text or a time was not one at all for the database: U+0000, a day that no calendar has, a year of five digits. */
export function isUnreadable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^(?:22007|22008|22009|22021|22P05)$/.test(code);
}

/** Whether the data of one row is at fault (classes 22 and 23): the other rows of a batch may still be good. */
export function isDataError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^2[23]...$/.test(code);
}
