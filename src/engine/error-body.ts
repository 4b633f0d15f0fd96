/** Reads the error bodies of engines and of the proxies before them, whatever envelope they use. */

/** What was said, as far as it was said; `message` is the engine's raw text. */
export type ErrorBody = {
  message: string;
  type?: string;
  /** A name such as `model_not_found`. */
  code?: string;
  /** The HTTP status that the body itself speaks of, in whatever field and form. */
  status?: number;
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

/** What Text Generation Inference calls its errors, and the statuses that go with it; in a stream there is only the name. */
const TGI_STATUSES: Readonly<Record<string, number>> = { validation: 422, overloaded: 429, generation: 424 };

/** Reads a parsed one: `{error: {…}}`, `{error: "…"}`, `{error: "…", error_type}`, `{object: "error", message}`, `{detail}`, `{detail: [{loc, msg}]}`, `{message}`. */
export function readErrorValue(value: unknown): ErrorBody {
  if (typeof value === "string") return { message: value };
  const fields = asFields(value);
  if (fields === undefined) return { message: "" };
  const inner = fields["error"] ?? fields;
  if (typeof inner === "string")
    return withStatus({ message: inner }, fields, { status: TGI_STATUSES[text(fields["error_type"]) ?? ""] });
  const error = asFields(inner) ?? fields;
  const body: ErrorBody = { message: text(error["message"]) ?? detail(error["detail"]) ?? "" };
  const type = text(error["type"]);
  if (type !== undefined) body.type = type;
  const code = error["code"];
  if (typeof code === "string") body.code = code;
  const param = text(error["param"]);
  if (param !== undefined && /^[\w.[\]-]{1,64}$/.test(param)) body.param = param;
  if (typeof error["n_prompt_tokens"] === "number") body.promptTokens = error["n_prompt_tokens"];
  if (typeof error["n_ctx"] === "number") body.window = error["n_ctx"];
  return withStatus(body, error, fields);
}

/** Adds the first status that one of the objects names. */
function withStatus(body: ErrorBody, ...said: readonly Fields[]): ErrorBody {
  const status = said.flatMap(({ code, status: other }) => [code, other]).find(isErrorStatus);
  return status === undefined ? body : { ...body, status: Number(status) };
}

function isErrorStatus(value: unknown): boolean {
  return (typeof value === "number" || typeof value === "string") && /^[45]\d\d$/.test(String(value));
}

/** FastAPI's `detail`: text, or what is wrong at which places of the request. */
function detail(value: unknown): string | undefined {
  if (!Array.isArray(value)) return text(value);
  return value
    .flatMap((item: unknown) => {
      const { loc, msg } = asFields(item) ?? {};
      if (typeof msg !== "string") return [];
      return Array.isArray(loc) ? `${loc.join(".")}: ${msg}` : msg;
    })
    .join("; ");
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
