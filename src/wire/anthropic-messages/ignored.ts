/** Collects what a request holds that has no effect here, in a form that fits a response header and a metric label. */

/** Enough to see what is going on; a hostile body must not be able to fill a header. */
const MOST_ENTRIES = 32;
const LONGEST_NAME = 64;

export type IgnoredList = {
  readonly entries: string[];
  /** Notes `where:name` once. `name` may be the client's own text: it is cut and cleaned. */
  note(
    where: "field" | "beta" | "block" | "role" | "tool" | "thinking" | "format" | "edit" | "source",
    name: string,
  ): void;
};

export function createIgnoredList(): IgnoredList {
  const entries: string[] = [];
  return {
    entries,
    note(where, name) {
      if (entries.length === MOST_ENTRIES) return;
      const entry = `${where}:${name.slice(0, LONGEST_NAME).replaceAll(/[^\w.-]/g, "_")}`;
      if (!entries.includes(entry)) entries.push(entry);
    },
  };
}
