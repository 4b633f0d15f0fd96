/** Gives the tests the recorded requests of this folder: what real clients sent, long prose replaced by filler. */
import { readFileSync, readdirSync } from "node:fs";
import type { RequestHeaders } from "../../../conversation/codec.ts";
import type { JsonObject } from "../../../conversation/request.ts";

export type Recorded = { name: string; headers: RequestHeaders; body: JsonObject };

export const RECORDED: readonly Recorded[] = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".json"))
  .sort()
  .map((file) => ({ name: file.slice(0, -5), ...readRecorded(file) }));

export function recorded(name: string): Recorded {
  return { name, ...readRecorded(`${name}.json`) };
}

function readRecorded(file: string): Omit<Recorded, "name"> {
  return JSON.parse(readFileSync(`${import.meta.dirname}/${file}`, "utf8")) as Omit<Recorded, "name">;
}
