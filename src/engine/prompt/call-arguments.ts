/**
 * Makes the arguments of an earlier tool call what templates can render: JSON text of an object.
 *
 * vLLM replaces anything else by `{}`, so that the model would no longer see what it did wrong; other servers fail the
 * request, and with it every later one of the session.
 */
export function callArguments(text: string): string {
  if (text === "") return "{}";
  return isJsonObject(text) ? text : JSON.stringify({ invalid_arguments: text });
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
