/**
 * Which served model a name means. Clients ask for Claude names whatever they are told (side calls, subagents), so a
 * name of a known Claude family is never refused: it is answered by the model that the family is mapped to.
 */
import type { EngineInfo, EngineState } from "./engine-pool.ts";

/** A model that at least one engine serves, with the engines that do (replicas). */
export type ServedModel<Info extends EngineInfo> = {
  readonly id: string;
  readonly displayName: string;
  /** Tokens; unknown if no engine says. The smallest among replicas, so that a prompt fits wherever it lands. */
  readonly contextWindow: number | undefined;
  readonly replicas: readonly EngineState<Info>[];
  /** The `claude-…` name under which Claude Code's picker shows the model. */
  readonly alias: string;
};

export type RegistryOptions = {
  families: Readonly<Record<string, string>>;
  aliases: Readonly<Record<string, string>>;
  models: Readonly<Record<string, { display_name?: string | undefined; context_window?: number | undefined }>>;
};

const FAMILIES = ["opus", "sonnet", "haiku", "fable", "mythos"] as const;

export class ModelRegistry<Info extends EngineInfo> {
  #served = new Map<string, ServedModel<Info>>();
  #byAlias = new Map<string, ServedModel<Info>>();
  readonly #options: RegistryOptions;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Takes what the engines serve now. */
  update(states: readonly EngineState<Info>[]): void {
    const replicas = new Map<string, EngineState<Info>[]>();
    const windows = new Map<string, number>();
    for (const state of states) {
      for (const model of state.info?.models ?? []) {
        const sofar = replicas.get(model.id);
        if (sofar === undefined) replicas.set(model.id, [state]);
        else sofar.push(state);
        if (model.contextWindow !== undefined) {
          windows.set(model.id, Math.min(model.contextWindow, windows.get(model.id) ?? Infinity));
        }
      }
    }
    const served = new Map<string, ServedModel<Info>>();
    const byAlias = new Map<string, ServedModel<Info>>();
    for (const [id, states] of replicas) {
      const own = this.#options.models[id];
      const model: ServedModel<Info> = {
        id,
        displayName: own?.display_name ?? id,
        contextWindow: own?.context_window ?? windows.get(id),
        replicas: states,
        alias: aliasOf(id),
      };
      served.set(id, model);
      byAlias.set(model.alias, model);
    }
    this.#served = served;
    this.#byAlias = byAlias;
  }

  get models(): readonly ServedModel<Info>[] {
    return [...this.#served.values()];
  }

  /** The model that a name means: its own name, an alias, or a Claude family. Undefined for a name nobody knows. */
  resolve(name: string): ServedModel<Info> | undefined {
    const plain = withoutWindowSuffix(name);
    return this.#resolveExact(name) ?? this.#resolveExact(plain) ?? this.#resolveFamily(plain);
  }

  /** The model behind a family, or the default one: what `evener claude` sets the three model variables to. */
  ofFamily(family: string): ServedModel<Info> | undefined {
    const mapped = this.#mapped(family);
    return mapped === undefined ? this.models[0] : (this.#served.get(mapped) ?? this.models[0]);
  }

  /** Whether a name of a family is answered by another model than the one configured for it, because no engine serves that one. */
  isStandIn(name: string): boolean {
    const plain = withoutWindowSuffix(name);
    if (this.#resolveExact(name) !== undefined || this.#resolveExact(plain) !== undefined) return false;
    const family = familyOf(plain);
    const mapped = family === undefined ? undefined : this.#mapped(family);
    return mapped !== undefined && !this.#served.has(mapped);
  }

  #mapped(family: string): string | undefined {
    return this.#options.families[family] ?? this.#options.families["default"];
  }

  #resolveExact(name: string): ServedModel<Info> | undefined {
    const configured = this.#options.aliases[name];
    return (
      this.#served.get(name) ??
      (configured === undefined ? undefined : this.#served.get(configured)) ??
      this.#byAlias.get(name)
    );
  }

  #resolveFamily(name: string): ServedModel<Info> | undefined {
    const family = familyOf(name);
    return family === undefined ? undefined : this.ofFamily(family);
  }
}

/** The family that a name belongs to; undefined for one that is no Claude name. */
function familyOf(name: string): string | undefined {
  const lower = name.toLowerCase();
  if (!/^(claude|anthropic)\b/.test(lower)) {
    return FAMILIES.some((family) => family === lower) || lower === "default" ? lower : undefined;
  }
  return FAMILIES.find((family) => lower.includes(family)) ?? "default";
}

/** `Qwen/Qwen3-Coder` → `claude-qwen-qwen3-coder`: pickers keep only names that start with `claude`. */
function aliasOf(id: string): string {
  const slug = id
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return slug.startsWith("claude") ? slug : `claude-${slug}`;
}

/** Claude Code marks the long-context variant of a name as `name[1m]`. */
function withoutWindowSuffix(name: string): string {
  return name.replace(/\[\d+[km]\]$/i, "");
}
