import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { conformancePage, proofsOf } from "./conformance.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The tests that there are, listed without running or building anything. */
function listed(): { file: string; name: string }[] {
  const directory = mkdtempSync(join(tmpdir(), "evener-conformance-"));
  const output = join(directory, "tests.json");
  const config = join(directory, "vitest.config.mjs");
  const include = ["test/e2e/wire-*.test.ts", "test/e2e/failure-*.test.ts"];
  writeFileSync(config, `export default ${JSON.stringify({ root: ROOT, test: { include } })};`);
  try {
    const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
    execFileSync(process.execPath, [vitest, "list", "--config", config, `--json=${output}`], {
      cwd: ROOT,
      stdio: "ignore",
    });
    const tests = JSON.parse(readFileSync(output, "utf8")) as { name: string; file: string }[];
    return tests.map(({ name, file }) => ({ name, file: basename(file) }));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test("docs/conformance.md names the wire and failure tests that there are, all passed (else: see scripts/conformance.ts)", () => {
  const proofs = listed().map((each) => ({ ...each, passed: true }));
  expect(proofs.length).toBeGreaterThan(300);
  expect(readFileSync("docs/conformance.md", "utf8")).toBe(conformancePage(proofs));
}, 60_000);

describe("the page", () => {
  const proof = (name: string, passed = true): Parameters<typeof conformancePage>[0][number] => ({
    file: "wire-x.test.ts",
    name,
    passed,
  });

  test("has a row a feature and a cell a wire", () => {
    const page = conformancePage([
      proof("Streams > anthropic > pings"),
      proof("Streams > openai > pings", false),
      proof("Streams > both > splits | cuts"),
      proof("Streams > openai > only here"),
    ]);
    expect(
      page
        .split("\n")
        .filter((line) => line.startsWith("| "))
        .slice(2)
        .map((line) => line.replaceAll(/ +/g, " ")),
    ).toEqual(["| pings | pass | FAIL |", "| splits \\| cuts | pass | pass |", "| only here | | pass |"]);
  });

  test("refuses a test that says not which wire it is about", () => {
    expect(() => conformancePage([proof("Streams > pings")])).toThrow(/which wire/);
  });

  test("reads the wire and failure tests of a report, and takes skipped ones for no proof", () => {
    const result = (title: string, status: string) => ({
      ancestorTitles: ["S", "openai"],
      title,
      status,
      fullName: title,
    });
    const report = {
      testResults: [
        {
          name: "/x/test/e2e/wire-x.test.ts",
          status: "passed",
          assertionResults: [result("a", "passed"), result("b", "skipped")],
        },
        { name: "/x/test/e2e/other.test.ts", status: "passed", assertionResults: [result("c", "passed")] },
      ],
    };
    expect(proofsOf(report)).toEqual([
      { file: "wire-x.test.ts", name: "S > openai > a", passed: true },
      { file: "wire-x.test.ts", name: "S > openai > b", passed: false },
    ]);
  });
});
