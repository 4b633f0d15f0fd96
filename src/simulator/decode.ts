/** The decode phase: chunks at the engine's pace, with scripted faults in their places. The hot path of load tests. */
import type { Frame, Plan } from "./answer-plan.ts";
import type { ChunkEncoder } from "./chat-chunks.ts";
import type { EventStream } from "./http.ts";
import type { Live } from "./live.ts";
import type { Metrics } from "./metrics.ts";
import type { RecordedRequest } from "./record.ts";
import type { Fault } from "./script.ts";

/** Chunks that share a write and a turn of the event loop when there is no pace to keep. */
const MOST_AT_ONCE = 64;

export type Decoding = {
  plan: Plan;
  encoder: ChunkEncoder;
  /** Milliseconds between chunks, where the script says so; else tokens a second, of which 0 is as fast as possible. */
  pace: { delay: number | undefined; decodeSpeed: number };
  faults: readonly Fault[];
  /** Applies a fault; false when the answer is over. */
  pass: (fault: Fault) => Promise<boolean>;
  record: RecordedRequest;
  live: Live;
  metrics: Metrics;
  /** Told of what was generated, before it is written. */
  onGenerated: ((record: RecordedRequest) => void) | undefined;
  /** Absent: nothing is written, but it takes its time. */
  stream: EventStream | undefined;
};

/** False when the answer broke off: by a fault, or because the request ended. */
export async function decode(decoding: Decoding): Promise<boolean> {
  const { plan, encoder, record, live, metrics, onGenerated, stream } = decoding;
  const { delay, decodeSpeed } = decoding.pace;
  const { frames } = plan;
  const faults = placedFaults(decoding);
  const last = frames.length - 1;
  const begun = performance.now();
  let unsent = 0;

  /** When a chunk is due, milliseconds after the first. */
  const due = (chunk: number, tokens: number): number => {
    if (delay !== undefined) return chunk * delay;
    return decodeSpeed === 0 ? 0 : ((tokens - 1) / decodeSpeed) * 1000;
  };
  const paced = delay !== undefined || decodeSpeed > 0;
  const untilDue = async (chunk: number, tokens: number): Promise<boolean> => {
    const wait = paced ? due(chunk, tokens) - (performance.now() - begun) : 0;
    // Half a millisecond is less than timers can keep. What is late anyway still makes way for others now and then.
    if (wait <= 0.5 && unsent < MOST_AT_ONCE) return true;
    unsent = 0;
    return (await flush()) && (await live.sleep(Math.max(0, wait)));
  };
  const flush = async (): Promise<boolean> => stream?.flush(live) ?? live.ended === undefined;
  const emit = (event: string | undefined, tokens: number): void => {
    metrics.generationTokens += tokens - record.completionTokens;
    record.completionTokens = tokens;
    onGenerated?.(record);
    if (event === undefined) return;
    stream?.add(event);
    record.chunks++;
    unsent++;
  };

  emit(stream && encoder.role(), 0);
  for (const [index, frame] of frames.entries()) {
    const here = faults.get(index);
    if (here) for (const fault of here) if (!(await decoding.pass(fault))) return false;
    if (!(await untilDue(index, frame.tokens))) return false;
    const finish = index === last && plan.finishOnLastFrame ? plan : undefined;
    emit(stream && encoder.frame(plan.stamped ? stampedFrame(frame, index) : frame, finish), frame.tokens);
  }
  if (!plan.finishOnLastFrame) {
    for (const fault of faults.get(frames.length) ?? []) if (!(await decoding.pass(fault))) return false;
    if (!(await untilDue(frames.length, plan.tokens))) return false;
    emit(stream && encoder.finish(plan, plan.tokens, plan.reasoningTokens), plan.tokens);
  }
  return true;
}

/** Faults by the number of chunks before them; those beyond the end come before the chunk that finishes. */
function placedFaults({ faults, plan }: Decoding): Map<number, Fault[]> {
  const placed = new Map<number, Fault[]>();
  const last = plan.finishOnLastFrame ? plan.frames.length - 1 : plan.frames.length;
  for (const fault of faults) {
    if (fault.kind === "http" || typeof fault.after === "string") continue;
    const place = Math.min(fault.after, last);
    placed.set(place, [...(placed.get(place) ?? []), fault]);
  }
  return placed;
}

function stampedFrame(frame: Frame, index: number): Frame {
  const microseconds = Math.round((performance.timeOrigin + performance.now()) * 1000);
  return { ...frame, delta: `{"content":"c${String(index).padStart(5, "0")}@${microseconds}000 "}` };
}
