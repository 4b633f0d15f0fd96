/**
 * Writes docs/conformance.md, the table of what is proved of each wire, from the results of the wire and failure tests:
 * `npx vitest run --project e2e test/e2e/wire test/e2e/failure --reporter=json --outputFile=REPORT` and then
 * `node scripts/conformance.ts REPORT`. A test fails when the table and the tests no longer name the same things.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import type { TestReport } from "./test-totals.ts";

export type Proof = {
  /** The test's file, without its folder. */
  file: string;
  /** Titles from the outermost to the test's own, joined by " > ". */
  name: string;
  passed: boolean;
};

const WIRES = ["anthropic", "openai", "both"] as const;
type Wire = (typeof WIRES)[number];
type Cells = Partial<Record<Wire, boolean>>;

const INTRODUCTION = `# Conformance

What is proved of the two wires, from the results of the tests that prove it (this page is generated: see \`scripts/conformance.ts\`).
Each row is a test, or one on each wire; its name is the row. The tests drive the built gateway over HTTP, judge every stream by a strict
grammar of its wire (\`test/support/wire-anthropic-grammar.ts\`, \`wire-openai-grammar.ts\`), and ask the official SDKs what they make of it.
An empty cell is something that the wire does not have.
`;

const ABOUT: readonly [prefix: string, text: string][] = [
  [
    "Recorded",
    "Requests recorded on a real vLLM 0.32.0, with the engine's recorded answers behind the gateway. `ant-` cases were sent to vLLM's own Anthropic endpoint; where that falls short, the right answer is asserted.",
  ],
];

/** The page. Sections and rows come in the order of the files and of the tests in them. */
export function conformancePage(proofs: readonly Proof[]): string {
  const sections = new Map<string, { files: Set<string>; rows: Map<string, Cells> }>();
  for (const { file, name, passed } of [...proofs].sort((a, b) => a.file.localeCompare(b.file))) {
    const titles = name.split(" > ");
    const [section = ""] = titles;
    const wire = WIRES.find((each) => titles.includes(each));
    if (wire === undefined) throw new Error(`the test "${name}" says not which wire it is about`);
    const feature = titles
      .slice(1)
      .filter((title) => title !== wire)
      .join(": ");
    const { files, rows } = sections.get(section) ?? { files: new Set<string>(), rows: new Map<string, Cells>() };
    sections.set(section, { files: files.add(file), rows });
    rows.set(feature, { ...rows.get(feature), [wire]: passed });
  }
  const pages = [...sections]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([section, { files, rows }]) => {
      const about = ABOUT.find(([prefix]) => section.startsWith(prefix))?.[1];
      const places = [...files].map((file) => `\`test/e2e/${file}\``).join(", ");
      return [
        `## ${section}`,
        [about, `Proved by ${places}.`].filter((line) => line !== undefined).join(" "),
        table(rows),
      ].join("\n\n");
    });
  return `${INTRODUCTION}\n${pages.join("\n")}`;
}

function table(rows: Map<string, Cells>): string {
  const lines = [...rows].map(([feature, cells]) => [
    feature.replaceAll("|", "\\|"),
    word(cells.anthropic ?? cells.both),
    word(cells.openai ?? cells.both),
  ]);
  const head = ["", "Anthropic", "OpenAI"];
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const write = (cells: string[]): string => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |\n`;
  return [write(head), write(widths.map((width) => "-".repeat(width))), ...lines.map(write)].join("");
}

function word(passed: boolean | undefined): string {
  if (passed === undefined) return "";
  return passed ? "pass" : "FAIL";
}

/** The wire and failure tests of a report. A test that was skipped proves nothing. */
export function proofsOf(report: TestReport): Proof[] {
  return report.testResults.flatMap(({ name: path, assertionResults }) => {
    const file = basename(path);
    if (!/^(wire|failure)-/.test(file)) return [];
    return assertionResults.map((test) => ({
      file,
      name: [...(test.ancestorTitles ?? []), test.title ?? test.fullName].join(" > "),
      passed: test.status === "passed",
    }));
  });
}

if (import.meta.main) {
  const [path] = process.argv.slice(2);
  if (path === undefined) throw new Error("usage: node scripts/conformance.ts REPORT.json");
  writeFileSync("docs/conformance.md", conformancePage(proofsOf(JSON.parse(readFileSync(path, "utf8")) as TestReport)));
}
