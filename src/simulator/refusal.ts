/** The errors of vLLM 0.32.0 in its own words: shapes and wordings as recorded from a live one. */

/** A request that is answered with an error, before any of an answer. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: string, headers: Readonly<Record<string, string>> = {}) {
    super(body);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

function errorBody(message: string, type: string, param: string | null, code: number): string {
  return JSON.stringify({ error: { message, type, param, code } });
}

/** The engine's own checks. `value` is what was sent, repeated in the message after the parameter's name. */
export function badRequest(message: string, param?: string, value?: number | string): Refusal {
  const suffix = param === undefined ? "" : ` (parameter=${param}${value === undefined ? "" : `, value=${value}`})`;
  return new Refusal(400, errorBody(message + suffix, "BadRequestError", param ?? null, 400));
}

export type ValidationProblem = { type: string; loc: string; msg: string; input: string; error?: string };

/** The schema's checks; they are told as Python dictionaries. */
export function invalidBody(problems: readonly [ValidationProblem, ...ValidationProblem[]]): Refusal {
  const lines = problems.map(({ type, loc, msg, input, error }) => {
    const context = error === undefined ? "" : `, 'ctx': {'error': ${pythonString(error)}}`;
    return `\n  {'type': '${type}', 'loc': '${loc}', 'msg': '${msg}', 'input': ${pythonString(input)}${context}}`;
  });
  const count = `${problems.length} validation error${problems.length === 1 ? "" : "s"}:`;
  return new Refusal(400, errorBody(count + lines.join(""), "Bad Request", problems[0].loc, 400));
}

export function unsupportedMediaType(): Refusal {
  const message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed";
  return new Refusal(400, errorBody(message, "Bad Request", null, 400));
}

export function modelNotFound(model: string, aliases: readonly string[]): Refusal {
  const message = `The model \`${model}\` does not exist. Valid aliases: ${aliases.join(", ")}.`;
  return new Refusal(404, errorBody(message, "NotFoundError", "model", 404));
}

/** Also the error event inside a stream that was running when the engine died. */
export const ENGINE_DEAD_BODY = errorBody(
  "EngineCore encountered an issue. See stack trace (above) for the root cause.",
  "InternalServerError",
  null,
  500,
);

export function engineDead(): Refusal {
  return new Refusal(500, ENGINE_DEAD_BODY);
}

/** What vLLM answers when its own code throws. */
export function internalError(error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error);
  return new Refusal(500, errorBody(message, "InternalServerError", null, 500));
}

/** The error object of a scripted HTTP error that gives no body of its own. */
export function scriptedErrorBody(status: number): string {
  return errorBody(`scripted HTTP ${status} of the simulated engine`, "ScriptedError", null, status);
}

export const notFound = (): Refusal => new Refusal(404, '{"detail":"Not Found"}');
export const methodNotAllowed = (allow: string): Refusal =>
  new Refusal(405, '{"detail":"Method Not Allowed"}', { allow });
export const unauthorized = (): Refusal => new Refusal(401, '{"error":"Unauthorized"}');

/** Python's `repr` of a string. */
function pythonString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

/** Python's `repr` of a float. */
export function pythonFloat(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
