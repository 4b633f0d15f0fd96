/** What the log says of a fault of our own. */

/**
 * Where it is: its kind, its code where it has one (`42P01` of Postgres, `ENOSPC` of the system), and the places it passed, but
 * not its message, which may quote data.
 */
export function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (!(cause instanceof Error)) return typeof cause;
  const { code } = cause as { code?: unknown };
  const kind = typeof code === "string" && /^\w{1,40}$/.test(code) ? `${cause.name} ${code}` : cause.name;
  const places = (cause.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return [kind, ...places.slice(0, 5).map((line) => line.trim())].join(" | ");
}
