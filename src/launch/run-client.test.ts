import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const MODULE = fileURLToPath(new URL("run-client.ts", import.meta.url));

/** Runs a launcher process of its own: signals and exit codes belong to a process. */
function launch(script: string): { child: ReturnType<typeof spawn>; ended: Promise<string>; ready: Promise<void> } {
  const launcher = `
    import { runClient, endAs } from ${JSON.stringify(MODULE)};
    endAs(await runClient("/bin/sh", ["-c", ${JSON.stringify(script)}], { PATH: process.env.PATH }));`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", launcher], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return {
    child,
    ended: new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal ?? String(code)))),
    ready: new Promise((resolve) => child.stdout?.once("data", () => resolve())),
  };
}

describe("runClient", () => {
  it("ends with the client's exit code", async () => {
    await expect(launch("exit 0").ended).resolves.toBe("0");
    await expect(launch("exit 42").ended).resolves.toBe("42");
  });

  it("ends by the signal that ended the client", async () => {
    await expect(launch("kill -KILL $$").ended).resolves.toBe("SIGKILL");
    await expect(launch("kill -INT $$").ended).resolves.toBe("SIGINT");
  });

  it.each(["SIGTERM", "SIGHUP", "SIGINT"] as const)(
    "passes %s on and waits for the client's own end",
    async (signal) => {
      const { child, ended, ready } = launch(
        `trap 'exit 7' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`,
      );
      await ready;
      child.kill(signal);
      await expect(ended).resolves.toBe("7");
    },
  );
});
