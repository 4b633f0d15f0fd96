/** Reads a stream of server-sent events as strictly as its writer should have written it: one form, nothing left over. */

export type Frame =
  | { kind: "comment"; text: string }
  /** `event` is undefined where the frame has no name. */
  | { kind: "event"; event: string | undefined; data: string };

/** Frames in order, and what is wrong with the bytes as such. A stream that breaks off may end in half a frame. */
export function readFrames(text: string): { frames: Frame[]; problems: string[] } {
  const frames: Frame[] = [];
  const problems: string[] = [];
  const pieces = text.split("\n\n");
  const rest = pieces.pop();
  if (rest !== "") problems.push(`the stream ends in half a frame: ${brief(rest ?? "")}`);
  for (const piece of pieces) {
    const lines = piece.split("\n");
    if (lines.length === 1 && piece.startsWith(":")) {
      frames.push({ kind: "comment", text: piece });
      continue;
    }
    const event = lines.length === 2 ? lines[0] : undefined;
    const data = lines.at(-1);
    if (lines.length > 2 || !data?.startsWith("data: ") || (event !== undefined && !event.startsWith("event: "))) {
      problems.push(`not a frame: ${brief(piece)}`);
      continue;
    }
    frames.push({ kind: "event", event: event?.slice("event: ".length), data: data.slice("data: ".length) });
  }
  return { frames, problems };
}

export function brief(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
