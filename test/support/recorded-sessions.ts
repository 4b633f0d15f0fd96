/**
 * Reads the recorded sessions of Claude Code under test/fixtures/sessions: every request as it was sent, in order.
 *
 * A file holds each distinct value once (`pool`) and the requests as places in it. Texts above 64 characters were cut, and
 * given a hash of the whole so that what differed still differs; everything else is as recorded.
 */
import { readdirSync, readFileSync } from "node:fs";

type File = {
  pool: unknown[];
  requests: { headers: number; rest: number; system: number; tools: number[]; messages: number[] }[];
};

export type RecordedRequest = { headers: Record<string, string>; body: string };

const FOLDER = new URL("../fixtures/sessions/", import.meta.url);

/** The requests of every session, by the session's name. */
export function recordedSessions(): Map<string, RecordedRequest[]> {
  const names = readdirSync(FOLDER).map((name) => name.replace(/\.json$/, ""));
  return new Map(names.map((name) => [name, recordedSession(name)]));
}

function recordedSession(name: string): RecordedRequest[] {
  const { pool, requests } = JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), "utf8")) as File;
  const values = (places: number[]) => places.map((place) => pool[place]);
  return requests.map(({ headers, rest, system, tools, messages }) => ({
    headers: pool[headers] as Record<string, string>,
    body: JSON.stringify({
      ...(pool[rest] as object),
      messages: values(messages),
      system: pool[system],
      tools: values(tools),
    }),
  }));
}
