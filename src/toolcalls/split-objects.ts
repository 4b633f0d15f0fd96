/** Takes apart what was glued together: the arguments of several calls as one text. */
import { LenientJson } from "./lenient-json.ts";

/** More are nobody's. */
const MOST = 64;

/**
 * The objects of `{…}{…}` each by itself, equal ones once; the text itself when it is anything else. Objects may be
 * separated by white space, commas or semicolons.
 */
export function splitObjects(text: string): string[] {
  const found: string[] = [];
  let at = 0;
  while (found.length < MOST) {
    const reader = new LenientJson(text, at, false);
    const start = /[\s,;]*/y;
    start.lastIndex = at;
    start.test(text);
    if (start.lastIndex >= text.length) break;
    if (text[start.lastIndex] !== "{") return [text];
    reader.at = start.lastIndex;
    if (reader.value() === undefined) return [text];
    found.push(text.slice(start.lastIndex, reader.at));
    at = reader.at;
  }
  // Empty ones beside others are what a parser began with.
  const distinct = new Set(found.length > 1 ? found.filter((object) => !/^\{\s*\}$/.test(object)) : []);
  return distinct.size > 0 ? [...distinct] : [text];
}
