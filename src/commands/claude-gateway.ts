/** Knows where `evener claude` finds its gateway and key. */
import { GatewayFileError, defaultDataDir, gatewayFilePath, readGatewayFile } from "../config/gateway-file.ts";
import { CliError } from "./cli-error.ts";

export type ClientAccess = { url: string; key: string };

/**
 * `EVENER_URL` and `EVENER_KEY`, else what `evener up` left in the data directory; either variable alone overrides its half,
 * but that gateway's key goes to that gateway only. Throws CliError.
 */
export function findClientAccess(env: NodeJS.ProcessEnv): ClientAccess {
  const url = env["EVENER_URL"] || undefined;
  const key = env["EVENER_KEY"] || undefined;
  if (url !== undefined && !(/^https?:\/\//.test(url) && URL.canParse(url))) {
    throw new CliError(`EVENER_URL is not a URL: ${url}; give one as in http://127.0.0.1:4400`, 2);
  }
  if (url !== undefined && key !== undefined) return { url: trimmed(url), key };

  const dataDir = defaultDataDir(env);
  const file = read(dataDir);
  if (file === undefined) {
    throw url === undefined
      ? new CliError(
          `no gateway is running (there is no ${gatewayFilePath(dataDir)}); start one with \`evener up\`, or set EVENER_URL and EVENER_KEY`,
        )
      : new CliError("EVENER_URL is set, but EVENER_KEY is not; set it to a key of that gateway", 2);
  }
  if (url !== undefined && trimmed(file.url) !== trimmed(url)) {
    throw new CliError("EVENER_URL is set, but EVENER_KEY is not; set it to a key of that gateway", 2);
  }
  const used = key ?? file.client_key;
  if (used === undefined)
    throw new CliError(
      "this gateway leaves no key for clients; make one with `evener key create --tenant NAME` and set EVENER_KEY",
    );
  return { url: trimmed(file.url), key: used };
}

function read(dataDir: string): ReturnType<typeof readGatewayFile> {
  try {
    return readGatewayFile(dataDir);
  } catch (error) {
    if (error instanceof GatewayFileError) throw new CliError(error.message, 1, error);
    throw error;
  }
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, "");
}
