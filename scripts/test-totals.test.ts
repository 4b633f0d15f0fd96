import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addUp, type TestReport } from "./test-totals.ts";

const file = (statuses: string[], status = statuses.includes("failed") ? "failed" : "passed") => ({
  name: "a.test.ts",
  status,
  assertionResults: statuses.map((each, index) => ({ status: each, fullName: `test ${index}` })),
});
const report = (...files: TestReport["testResults"]): TestReport => ({ testResults: files });

describe("addUp", () => {
  it("adds the tests of all files and reports", () => {
    const totals = addUp([report(file(["passed", "failed"]), file(["passed"])), report(file(["passed"]))], 1);
    expect(totals).toEqual({ passed: 3, failed: 1, skipped: [] });
  });

  it("counts a file that could not be loaded", () => {
    expect(addUp([report(file([], "failed"))], 1)).toMatchObject({ passed: 0, failed: 1 });
  });

  it("counts a phase that failed without a failing test", () => {
    expect(addUp([report(file(["passed"]))], 2)).toMatchObject({ passed: 1, failed: 2 });
    expect(addUp([report(file(["failed", "failed"]))], 2)).toMatchObject({ failed: 3 });
  });

  it("names what was skipped", () => {
    expect(addUp([report(file(["passed", "skipped", "todo"]))], 0).skipped).toEqual([
      "a.test.ts: test 1",
      "a.test.ts: test 2",
    ]);
  });
});

describe("the command", () => {
  const script = join(import.meta.dirname, "test-totals.ts");
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "test-totals-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (name: string, content: TestReport) => {
    const path = join(directory, name);
    writeFileSync(path, JSON.stringify(content));
    return path;
  };

  it("ends with the plain line and succeeds where all passed", () => {
    const out = execFileSync(process.execPath, [script, write("one.json", report(file(["passed", "passed"])))]);
    expect(out.toString()).toBe("2 passed, 0 failed\n");
  });

  it.each([
    ["a test failed", ["passed", "failed"], "0"],
    ["a test was skipped", ["passed", "skipped"], "0"],
    ["a phase failed", ["passed"], "1"],
    ["nothing ran", [], "0"],
  ])("fails when %s", (_, statuses, phases) => {
    const path = write("one.json", report(file(statuses)));
    expect(spawnSync(process.execPath, [script, "--failed-phases", phases, path]).status).toBe(1);
  });

  it("fails when a report is missing and says so in the count", () => {
    const run = spawnSync(process.execPath, [script, "--failed-phases", "1", join(directory, "none.json")]);
    expect([run.status, run.stdout.toString()]).toEqual([1, "0 passed, 1 failed\n"]);
  });
});
