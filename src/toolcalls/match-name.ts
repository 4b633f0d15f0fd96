/** Finds the declared tool that a written name means, and none when it could be another or a tool that was not declared. */
import { type DeclaredTool, shapeOf } from "./declared-tool.ts";

export type NameMatch = { tool: DeclaredTool; exact: boolean };

/** What models put around names: a namespace before (`functions.`), a counter or the rest of a tag behind. */
const NAMESPACE = /^(?:to=)?(?:functions?|tools?|default_api|multi_tool_use|recipient|call)[.:/]/i;
const GLUED_NAMESPACE = /^functions?(?=\w)/i;
const JUNK_BEHIND = /[\s<>(){}[\]|"'`,;=].*$/s;
const COUNTER = /(?::\d+|_?\d+)$/;

/** Longer is no name; a bound on the work. */
const LONGEST = 512;

export function matchName(written: string, tools: readonly DeclaredTool[]): NameMatch | undefined {
  const exact = tools.find(({ name }) => name === written);
  if (exact !== undefined) return { tool: exact, exact: true };
  if (written.length > LONGEST) return undefined;
  for (const form of forms(written)) {
    const tool = byForm(form, tools);
    if (tool !== undefined) return { tool, exact: false };
  }
  const tool = byPrefix(written.trim().replace(NAMESPACE, ""), tools);
  return tool === undefined ? undefined : { tool, exact: false };
}

/** What may be meant, the form nearest to what was written first. */
function* forms(written: string): Generator<string> {
  const bare = written.trim().replace(/^["'`]+|["'`]+$/g, "");
  yield bare;
  const local = bare.replace(NAMESPACE, "");
  yield local;
  const clean = local.replace(JUNK_BEHIND, "");
  yield clean;
  yield clean.replace(COUNTER, "");
  const half = clean.slice(0, clean.length / 2);
  if (half + half === clean) yield half;
  const glued = clean.replace(GLUED_NAMESPACE, "");
  yield glued;
  yield glued.replace(COUNTER, "");
  // Namespaces of clients' own (`server.tool`, `mcp/tool`): only the last part is the tool's name.
  const last = clean.replace(/:\d+$/, "").split(/[.:/]/).at(-1);
  if (last !== undefined) yield last;
}

function byForm(form: string, tools: readonly DeclaredTool[]): DeclaredTool | undefined {
  if (form === "") return undefined;
  const exact = tools.find(({ name }) => name === form);
  if (exact !== undefined) return exact;
  const lower = form.toLowerCase();
  const sameLetters = tools.filter(({ name }) => name.toLowerCase() === lower);
  if (sameLetters.length > 0) return only(sameLetters);
  const plain = withoutSeparators(form);
  return plain === "" ? undefined : only(tools.filter(({ name }) => withoutSeparators(name) === plain));
}

/** The longest name with which it begins, if what follows is its first argument's key. `read_file` is never `read`. */
function byPrefix(written: string, tools: readonly DeclaredTool[]): DeclaredTool | undefined {
  const before = tools.filter(({ name }) => name !== "" && written.startsWith(name));
  const longest = before.toSorted((one, other) => other.name.length - one.name.length)[0];
  if (longest === undefined) return undefined;
  const rest = written.slice(longest.name.length).replace(JUNK_BEHIND, "");
  return shapeOf(longest).properties.has(rest) ? longest : undefined;
}

function only(tools: readonly DeclaredTool[]): DeclaredTool | undefined {
  return tools.length === 1 ? tools[0] : undefined;
}

function withoutSeparators(name: string): string {
  return name.replace(/[\s_-]+/g, "").toLowerCase();
}

/** The only tool that knows all of these keys and has all that it requires among them. */
export function matchKeys(keys: readonly string[], tools: readonly DeclaredTool[]): DeclaredTool | undefined {
  if (keys.length === 0) return undefined;
  return only(
    tools.filter((tool) => {
      const { properties, required } = shapeOf(tool);
      return keys.every((key) => properties.has(key)) && required.every((key) => keys.includes(key));
    }),
  );
}
