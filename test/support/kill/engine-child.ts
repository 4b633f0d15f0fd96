/**
 * A simulated engine in a process of its own, for tests that kill it, with a diary of all that it generates.
 * Usage: engine-child.ts PORT DIARY
 *
 * The diary has a line for each chunk: `MILLISECONDS REQUEST_ID PROMPT CACHED OUTPUT`, written before the chunk is sent, so that nobody
 * ever got more than it says; an OUTPUT of 0 begins an answer. The id is the one in the request's `x-request-id`.
 */
import { openSync, writeSync } from "node:fs";
import { startSimulator } from "../../../src/simulator/start.ts";

const [port = "0", diary = ""] = process.argv.slice(2);
const file = openSync(diary, "a");
const { url } = await startSimulator({
  port: Number(port),
  keepRequests: 0,
  maxNumSeqs: 256,
  onGenerated({ headers, promptTokens, cachedTokens, completionTokens }) {
    const id = headers["x-request-id"];
    // Synchronous: what was noted before a kill is there.
    writeSync(file, `${Date.now()} ${String(id)} ${promptTokens} ${cachedTokens} ${completionTokens}\n`);
  },
});
process.stdout.write(`${url}\n`);
