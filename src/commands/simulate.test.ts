import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { Command } from "commander";
import { expect, onTestFinished, test } from "vitest";
import { register } from "./simulate.ts";

const ENTRY = `
  import { Command } from "commander";
  import { register } from ${JSON.stringify(new URL("simulate.ts", import.meta.url).href)};
  const program = new Command("evener").exitOverride();
  register(program);
  for (const command of program.commands) command.copyInheritedSettings(program);
  program.parseAsync(process.argv, { from: "node" }).catch((error) => {
    console.error(error.message);
    process.exit(typeof error.exitCode === "number" && error.code === undefined ? error.exitCode : 2);
  });
`;

function simulate(...args: string[]) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", ENTRY, "evener", "simulate", ...args], {
    cwd: new URL("../..", import.meta.url),
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, stdout: () => stdout, stderr: () => stderr };
}

async function refused(...args: string[]): Promise<{ code: number; stderr: string }> {
  const { child, stderr } = simulate(...args);
  const [code] = (await once(child, "close")) as [number];
  return { code, stderr: stderr() };
}

test("serves what its options say until it is told to stop", async () => {
  const options = ["--model", "m", "--max-model-len", "4096", "--script", "agent-session", "--no-tools", "--json"];
  const { child, stdout } = simulate("--port", "0", ...options);
  while (!stdout().includes("}")) await once(child.stdout, "data");
  const { url, model } = JSON.parse(stdout());
  expect(model).toBe("m");
  const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: unknown[] };
  expect(data).toEqual([expect.objectContaining({ id: "m", max_model_len: 4096 })]);
  child.kill("SIGTERM");
  expect(await once(child, "close")).toEqual([0, null]);
});

test("says in one line what is wrong with how it was called", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as AddressInfo;
  const [used, number, script] = await Promise.all([
    refused("--port", String(port)),
    refused("--decode-speed", "fast"),
    refused("--script", "no-such-file.yaml"),
  ]);
  expect(used).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/port \d+ is in use; choose another with --port\n$/),
  });
  expect(number).toMatchObject({ code: 2, stderr: expect.stringContaining("It must be a number, 0 or more.") });
  expect(script).toMatchObject({ code: 2, stderr: "cannot read the script no-such-file.yaml: no such file\n" });
});

test("every option is documented", () => {
  const guide = readFileSync(new URL("../../docs/simulated-engine.md", import.meta.url), "utf8");
  const program = new Command();
  register(program);
  const flags = program.commands.flatMap(({ options }) => options.map(({ long }) => long));
  expect(flags.length).toBeGreaterThan(10);
  expect(flags.filter((flag) => !guide.includes(`\`${flag}\``))).toEqual([]);
});
