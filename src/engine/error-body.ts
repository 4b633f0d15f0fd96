/** Reads the error bodies of engines and of the proxies before them, whatever envelope they use. */

/** What was said, as far as it was said; `message` is the engine's raw text. */
export type ErrorBody = {
  message: string;
  type?: string;
  /** A number is an HTTP status, a string a name such as `model_not_found`. */
  code?: number | string;
  param?: string;
  /** llama.cpp's figures of an overflow. */
  promptTokens?: number;
  window?: number;
};

type Fields = { readonly [key: string]: unknown };

/** Reads a whole error response. Text that is not JSON is its own message. */
export function readErrorText(text: string): ErrorBody {
  const trimmed = text.trim();
  if (!trimmed.startsWith("{")) return { message: trimmed };
  try {
    return readErrorValue(JSON.parse(trimmed));
  } catch {
    return { message: trimmed };
  }
}

/** Reads a parsed one: `{error: {…}}`, `{error: "…"}`, `{object: "error", message}`, `{detail}`, `{message}`. */
export function readErrorValue(value: unknown): ErrorBody {
  if (typeof value === "string") return { message: value };
  const fields = asFields(value);
  if (fields === undefined) return { message: "" };
  const inner = fields["error"] ?? fields;
  if (typeof inner === "string") return { message: inner };
  const error = asFields(inner) ?? fields;
  const body: ErrorBody = { message: text(error["message"]) ?? text(error["detail"]) ?? "" };
  const type = text(error["type"]);
  if (type !== undefined) body.type = type;
  const code = error["code"];
  if (typeof code === "number" || typeof code === "string") body.code = code;
  const param = text(error["param"]);
  if (param !== undefined && /^[\w.[\]-]{1,64}$/.test(param)) body.param = param;
  if (typeof error["n_prompt_tokens"] === "number") body.promptTokens = error["n_prompt_tokens"];
  if (typeof error["n_ctx"] === "number") body.window = error["n_ctx"];
  return body;
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
