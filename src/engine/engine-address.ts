/** Where an engine is: what its configured URL means as an origin and a path prefix. */

/** `url` is the engine's base, with or without a trailing `/v1`; `apiKey` is sent as `Authorization: Bearer`. */
export type EngineAddress = { readonly url: string; readonly apiKey?: string | undefined };

export type EngineBase = { readonly origin: string; readonly prefix: string };

const known = new Map<string, EngineBase>();
const MOST_KNOWN = 1_000;

/**
 * Splits an engine's URL: `http://host:8000/v1/` and `http://host:8000` are the same base; a path before `/v1` is kept as
 * the prefix. Throws a plain `Error` in words for the person who wrote the URL.
 */
export function engineBase(url: string): EngineBase {
  const seen = known.get(url);
  if (seen !== undefined) return seen;
  const base = parse(url);
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(url, base);
  return base;
}

function parse(url: string): EngineBase {
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:"))
    throw new Error(`"${url}" is not the URL of an engine; write it as http://host:port or https://host`);
  if (parsed.username !== "" || parsed.password !== "")
    throw new Error("an engine's URL holds a user or password; give its key as the engine's API key instead");
  if (parsed.search !== "" || parsed.hash !== "")
    throw new Error(`the engine's URL "${url}" has a query or fragment; leave it out`);
  return { origin: parsed.origin, prefix: parsed.pathname.replace(/\/+$/, "").replace(/\/v1$/, "") };
}
