import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

describe("the young generation", () => {
  let directory: string;
  let program: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "evener-young-"));
    program = join(directory, "program.mjs");
    writeFileSync(
      program,
      `import { enlargeYoungGeneration } from ${JSON.stringify(new URL("./young-generation.ts", import.meta.url).href)};
       enlargeYoungGeneration();
       console.log(JSON.stringify({ pid: process.pid, options: process.execArgv, words: process.argv.slice(2) }));`,
    );
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const start = (options: string[], env: NodeJS.ProcessEnv = {}): unknown =>
    JSON.parse(
      execFileSync(process.execPath, [...options, program, "up", "--port", "1"], {
        env: { ...process.env, NODE_OPTIONS: "", ...env },
      }).toString(),
    );

  it("is enlarged in the same process, with the same words and options", async () => {
    const child = spawn(process.execPath, ["--trace-uncaught", program, "up", "a b"], {
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    let output = "";
    for await (const chunk of child.stdout) output += String(chunk);
    expect(JSON.parse(output)).toEqual({
      pid: child.pid,
      options: ["--trace-uncaught", "--max-semi-space-size=64"],
      words: ["up", "a b"],
    });
  });

  it("stays as it was chosen", () => {
    const chosen = "--max-semi-space-size=16";
    expect(start([chosen])).toMatchObject({ options: [chosen], words: ["up", "--port", "1"] });
    expect(start([], { NODE_OPTIONS: chosen })).toMatchObject({ options: [] });
  });

  it("stays where a restart is not allowed", () => {
    const options = ["--permission", "--allow-fs-read=*"];
    expect(start(options)).toMatchObject({ options });
  });
});
