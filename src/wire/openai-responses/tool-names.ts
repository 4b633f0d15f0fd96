/** Gives each tool the one flat name that an engine knows it by, and finds the client's name for it again. */
import type { ResponsesForm, ResponsesTool, ResponsesToolKind } from "../../conversation/request.ts";

export type ToolNames = {
  /** Names a tool of the request; the first of a name keeps it. The same tool again has the same name. */
  add(name: string, namespace: string | undefined, kind: ResponsesToolKind): string;
  /** The engine's name of a tool that was called earlier, known or not. */
  engineName(name: string, namespace: string | undefined): string;
  readonly byEngineName: ResponsesForm["tools"];
};

/**
 * A tool inside a namespace keeps its plain name, by which the client's own prompts speak of it, unless another tool has
 * that name: then it is `namespace__name`.
 */
export function newToolNames(): ToolNames {
  const byEngineName = new Map<string, ResponsesTool>();
  const engineNames = new Map<string, string>();
  const key = (name: string, namespace: string | undefined): string => `${namespace ?? ""}\n${name}`;
  return {
    byEngineName,
    add(name, namespace, kind) {
      let engine = engineNames.get(key(name, namespace));
      if (engine === undefined) {
        engine = namespace !== undefined && byEngineName.has(name) ? `${namespace}__${name}` : name;
        while (byEngineName.has(engine)) engine += "_";
      }
      byEngineName.set(engine, { name, kind, ...(namespace !== undefined && { namespace }) });
      engineNames.set(key(name, namespace), engine);
      return engine;
    },
    engineName: (name, namespace) => engineNames.get(key(name, namespace)) ?? name,
  };
}
