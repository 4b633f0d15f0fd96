/**
 * Knows `gateway.json`: what a running gateway leaves in its data directory so that commands on the same machine find it. It holds an
 * admin key, so only its owner may read it.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";

const GatewayFileSchema = z.object({
  /** Where the gateway listens, as a client on this machine reaches it. */
  url: z.url({ protocol: /^https?$/ }),
  pid: z.int().positive(),
  admin_key: z.string().min(1),
  /** A virtual key for clients on this machine; `evener serve` leaves none. */
  client_key: z.string().min(1).exactOptional(),
  started_at: z.iso.datetime(),
  version: z.string(),
});

export type GatewayFile = z.infer<typeof GatewayFileSchema>;

/** The file is there but cannot be used; `message` is one line for people. */
export class GatewayFileError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "GatewayFileError";
  }
}

/** `EVENER_DATA`, else `~/.evener`; absolute. */
export function defaultDataDir(env: NodeJS.ProcessEnv = process.env): string {
  const named = env["EVENER_DATA"];
  if (named === undefined || named === "") return join(homedir(), ".evener");
  return named === "~" || named.startsWith("~/") ? join(homedir(), named.slice(1)) : resolve(named);
}

export function gatewayFilePath(dataDir: string): string {
  return join(dataDir, "gateway.json");
}

/** What the gateway left, or undefined if there is nothing. Throws GatewayFileError when it cannot be read or understood. */
export function readGatewayFile(dataDir: string): GatewayFile | undefined {
  const path = gatewayFilePath(dataDir);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new GatewayFileError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new GatewayFileError(`${path} is not valid JSON; restart the gateway, which writes it anew`, error);
  }
  const parsed = GatewayFileSchema.safeParse(value);
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join(".") ?? "";
    throw new GatewayFileError(
      `${path} has no valid ${field === "" ? "content" : field}; restart the gateway, which writes it anew`,
    );
  }
  return parsed.data;
}

/** Writes the file in one step (readers see the old one or the new one), mode 0600. */
export function writeGatewayFile(dataDir: string, file: GatewayFile): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = gatewayFilePath(dataDir);
  const draft = `${path}.${process.pid}.tmp`;
  // The mode only counts for a new file: one left behind by a crash must not keep an older one's.
  rmSync(draft, { force: true });
  writeFileSync(draft, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600, flag: "wx" });
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}

/** Removes the file at the end of the gateway that wrote it; another's stays. */
export function removeGatewayFile(dataDir: string, pid: number): void {
  try {
    if (readGatewayFile(dataDir)?.pid !== pid) return;
  } catch (error) {
    if (!(error instanceof GatewayFileError)) throw error;
  }
  rmSync(gatewayFilePath(dataDir), { force: true });
}
