/** What the main thread and the PGlite worker say to each other. */

export type PgliteWorkerData = { directory: string };

/** Without parameters `sql` may hold several statements; the last one's result is returned. */
export type PgliteRequest = { id: number; sql: string; params: readonly unknown[] } | { id: number; close: true };

/** `fatal`: the embedded database is broken for good, and its worker ends. */
export type PgliteFailure = { message: string; code?: string; constraint?: string; table?: string; fatal: boolean };

export type PgliteReply =
  | { id: number; rows: unknown[]; affected: number; command: string }
  | { id: number; failure: PgliteFailure };

/** Id of the first reply, which says that the database is open. */
export const OPENED = 0;
