/** What an SGLang server tells of itself; older versions at another path. */
import type { Fields } from "./json-fields.ts";

/** Undefined where the engine has no such answer. */
export async function sglangServer(ask: (path: string) => Promise<Fields | undefined>): Promise<Fields | undefined> {
  return (await ask("/server_info")) ?? (await ask("/get_server_info"));
}
