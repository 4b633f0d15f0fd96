/** Reads from a trace of system calls where a process and all its children sent anything. Linux with strace. */
import { accessSync, constants, readFileSync } from "node:fs";

const STRACE = "/usr/bin/strace";

/** Whether processes can be traced here. */
export function canTrace(): boolean {
  try {
    accessSync(STRACE, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The command line that runs another one under the tracer. */
export function tracer(file: string): string[] {
  const calls = "connect,sendto,sendmsg,sendmmsg";
  return [STRACE, "-f", "-qqq", "--seccomp-bpf", "-s", "0", "-e", `trace=${calls}`, "-e", "signal=none", "-o", file];
}

/** Addresses beyond loopback, as `address:port`, each once; DNS servers count. */
export function outsideAddresses(file: string): string[] {
  const found = new Set<string>();
  const address =
    /sa_family=AF_INET6?, sin6?_port=htons\((\d+)\).*?(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")/g;
  for (const [, port, v4, v6] of readFileSync(file, "utf8").matchAll(address)) {
    const host = v4 ?? v6 ?? "";
    if (!isLoopback(host)) found.add(`${host}:${port}`);
  }
  return [...found];
}

/** How many calls the trace holds: a trace of nothing proves nothing. */
export function tracedCalls(file: string): number {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => /\b(connect|send)/.test(line)).length;
}

function isLoopback(host: string): boolean {
  return (
    host.startsWith("127.") || host === "::1" || host.startsWith("::ffff:127.") || host === "0.0.0.0" || host === "::"
  );
}
