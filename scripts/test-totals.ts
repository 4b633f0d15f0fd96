/**
 * Adds up vitest's JSON reports for the last line of the gate: `node scripts/test-totals.ts [--failed-phases N] REPORT…`.
 *
 * Prints the skipped tests, then "N passed, N failed" alone on a line. Exits 1 unless everything passed: a test that is
 * skipped in the gate proves nothing there, so it counts against it as well.
 */
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";

/** The part of vitest's JSON report that matters here. */
export type TestReport = {
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: { status: string; fullName: string; title?: string; ancestorTitles?: string[] }[];
  }[];
};

export type Totals = { passed: number; failed: number; skipped: string[] };

/**
 * `failedPhases`: how many phases of the gate failed, those of the reports included. A phase that failed without a
 * failing test to show for it (a linter, a crash before the first test) counts as one failure, so that the line never
 * says "0 failed" of a gate that is shut.
 */
export function addUp(reports: TestReport[], failedPhases: number): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: [] };
  let reportsWithFailures = 0;
  for (const report of reports) {
    const before = totals.failed;
    for (const file of report.testResults) {
      for (const test of file.assertionResults) {
        if (test.status === "passed") totals.passed++;
        else if (test.status === "failed") totals.failed++;
        else totals.skipped.push(`${file.name}: ${test.fullName}`);
      }
      // A file that could not be loaded, or whose hooks failed, fails without a failing test.
      if (file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")) totals.failed++;
    }
    if (totals.failed > before) reportsWithFailures++;
  }
  totals.failed += Math.max(0, failedPhases - reportsWithFailures);
  return totals;
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { "failed-phases": { type: "string", default: "0" } },
  });
  const reports = positionals
    .filter((path) => existsSync(path))
    .map((path) => JSON.parse(readFileSync(path, "utf8")) as TestReport);
  const { passed, failed, skipped } = addUp(reports, Number(values["failed-phases"]));
  for (const name of skipped) console.log(`skipped: ${name}`);
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0 || skipped.length > 0 || passed === 0) process.exitCode = 1;
}
