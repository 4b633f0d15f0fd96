/** Collects what a request carried that has no effect, each once, as `where:name` for ChatRequest.ignored. */

/** `field` is one of the body (`message.name`: one of a message), `block` a kind of content; the same on every wire. */
export type Where = "field" | "block" | "role" | "tool";

/** A client that sends thousands of unknown fields gets the first of them back; the rest are one `…:more`. */
const MOST_NOTES = 32;
const PLAIN_NAME = /^[\w.-]{1,64}$/;

export type Notes = { add(where: Where, name: string): void; list(): string[] };

/** Names are the client's own bytes and end in a response header and a log line: odd ones are noted as `other`. */
export function newNotes(): Notes {
  const seen = new Set<string>();
  return {
    add(where, name) {
      if (seen.size >= MOST_NOTES) seen.add("field:more");
      else seen.add(`${where}:${PLAIN_NAME.test(name) ? name : "other"}`);
    },
    list: () => [...seen],
  };
}
