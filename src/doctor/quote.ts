/** What an engine or a model wrote, short enough to be shown within a sentence: one line, in quotes. */

const LONGEST = 80;

export function quote(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return JSON.stringify(line.length <= LONGEST ? line : `${line.slice(0, LONGEST - 1).toWellFormed()}…`);
}
