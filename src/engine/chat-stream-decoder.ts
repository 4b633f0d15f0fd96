/**
 * Reads an engine's streamed chat completion (OpenAI's chunks, as vLLM, SGLang, llama.cpp, Ollama and others write them)
 * into the conversation's events, and its usage into the fold. Any split of the bytes gives the same events.
 */
import { asByteText, type ByteText } from "../conversation/byte-text.ts";
import { GatewayError } from "../conversation/errors.ts";
import type { FinishEvent, FinishReason, StreamEvent } from "../conversation/stream-event.ts";
import type { UsageFold } from "../conversation/usage.ts";
import { MOST_MEMORY, PIECE_MEMORY } from "./answer-memory.ts";
import { type ChunkTemplate, ChunkTemplates, type Lesson, type TextField } from "./chunk-template.ts";
import { type EngineErrorContext, engineStreamError } from "./engine-error.ts";
import { parseExact } from "../base/exact-json.ts";
import { finishReason } from "./finish-reason.ts";
import { SseReader } from "./sse-reader.ts";
import { StopMatcher } from "./stop-matcher.ts";
import { BYTES, TEXT, type TextMode } from "./text-mode.ts";
import { ToolCallAssembler, type ToolCallDelta } from "./tool-call-assembler.ts";
import { readTimings, readUsage } from "./usage-report.ts";

/** The longest event, in bytes. vLLM can put the prompt's token ids into one; a tool call written at once may be large. */
const LONGEST_EVENT = 8 * 1024 * 1024;
/** Most characters of an error in place of a stream. */
const LONGEST_BODY = 64 * 1024;
/** Bytes of text a token, for engines that report no usage and send many tokens a chunk. */
const BYTES_A_TOKEN = 4;
const NOTHING: StreamEvent[] = [];
const BLANK_LINE = Buffer.from("\n\n");
/** A stream whose chunks keep changing otherwise (llama.cpp can write timings into each) is left to the parser. */
const MOST_LESSONS = 4;

type Plain = Omit<Lesson, "event">;
type Chunk = { error?: unknown; object?: unknown; choices?: unknown; usage?: unknown; timings?: unknown };
type Choice = {
  index?: unknown;
  delta?: unknown;
  finish_reason?: unknown;
  stop_reason?: unknown;
  matched_stop?: unknown;
};
type Delta = {
  content?: unknown;
  refusal?: unknown;
  reasoning?: unknown;
  reasoning_content?: unknown;
  tool_calls?: unknown;
  function_call?: unknown;
};

export class ChatStreamDecoder {
  readonly #usage: UsageFold;
  readonly #context: EngineErrorContext;
  readonly #calls = new ToolCallAssembler();
  readonly #reader: SseReader;
  readonly #stops: StopMatcher | undefined;
  readonly #asked: readonly string[] | undefined;
  #stopped = false;
  #out: StreamEvent[] = NOTHING;
  /** Text and reasoning that came amid a call's arguments: they are sent once the call is complete. */
  #held: StreamEvent[] = [];
  #reason: FinishReason | undefined;
  #stopSequence: string | undefined;
  #ended = false;
  /** Whether an event has come: then it is a stream. */
  #begun = false;
  /** Lines of JSON in place of a stream, which is an error if it is anything; read at its end. */
  #body: string | undefined;
  readonly #templates: ChunkTemplates;
  #lessons = 0;
  /** The event that was just read, if it may be a template. */
  #plain: Plain | undefined;
  #chunks = 0;
  #bytes = 0;

  /**
   * `context` gives an engine's in-stream errors their numbers and names; `stops` are stop sequences that the engine was not
   * told of; `templates` are shared by the streams of one gateway; `asked` are all stop sequences of the client, where they are known:
   * with one of the engine's own every answer ends.
   */
  constructor(
    usage: UsageFold,
    context: EngineErrorContext = { model: "" },
    stops: readonly string[] = [],
    templates: ChunkTemplates = new ChunkTemplates(),
    asked?: readonly string[],
  ) {
    this.#templates = templates;
    this.#asked = asked;
    this.#usage = usage;
    this.#context = context;
    this.#stops = stops.length > 0 ? new StopMatcher(stops) : undefined;
    this.#reader = new SseReader(
      {
        onEvent: (data, name) => this.#event(data, name),
        onJunk: (line) => this.#junk(line),
        onTooLong: () => this.#fail("engine_failed", "the engine sent an event of more than 8 MB"),
      },
      LONGEST_EVENT,
    );
  }

  /** Whether the terminal event has been given. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether a stop sequence ended the answer here: the engine knows nothing of it and would go on. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Output tokens by the gateway's own count, for engines that report none. */
  get countedTokens(): number {
    return Math.max(this.#chunks, Math.ceil(this.#bytes / BYTES_A_TOKEN));
  }

  /**
   * Bytes that the answer takes in memory where it is kept, about: a call's arguments are, both here and by who collects the answer.
   * Looked at once a read, which alone cannot bring much.
   */
  get #memory(): number {
    return this.#bytes + this.#chunks * PIECE_MEMORY + this.#calls.memory;
  }

  /** Takes bytes as they came; returns the events that they complete. Nothing comes after a terminal event. */
  push(bytes: Buffer): StreamEvent[] {
    if (this.#ended) return NOTHING;
    const out: StreamEvent[] = [];
    this.#out = out;
    for (let at = 0; at < bytes.length && !this.#ended;) {
      const like = this.#begun && this.#reader.between ? this.#templates.find(bytes, at) : undefined;
      if (like === undefined) at = this.#readEvent(bytes, at);
      else {
        this.#likeBefore(like);
        at = this.#templates.end;
      }
    }
    if (this.#memory > MOST_MEMORY && !this.#ended)
      this.#fail("engine_failed", "the engine's answer is larger than any that the gateway can hold; it never stopped");
    return out;
  }

  /** Reads on to the end of the event, or of the bytes; returns how far. What the next chunks look like is learnt from it. */
  #readEvent(bytes: Buffer, from: number): number {
    const blank = bytes.indexOf(BLANK_LINE, from);
    const end = blank < 0 ? bytes.length : blank + BLANK_LINE.length;
    const whole = blank >= 0 && this.#reader.between;
    const text = bytes.toString("latin1", from, end);
    this.#reader.push(text);
    const plain = this.#takePlain();
    if (whole && plain !== undefined) {
      this.#lessons++;
      this.#templates.learn({ event: text, ...plain });
    }
    return end;
  }

  #takePlain(): Plain | undefined {
    const plain = this.#plain;
    this.#plain = undefined;
    return plain;
  }

  /** As `#chunk` does with the same event. */
  #likeBefore({ field, text, usage }: ChunkTemplate): void {
    if (usage !== undefined) this.#usage.report(usage);
    if (field === "content") this.#content(text);
    else this.#reasoning(text);
    this.#chunks++;
  }

  /** The engine's answer has ended as HTTP: gives the terminal event unless it was given. */
  end(): StreamEvent[] {
    if (this.#ended) return NOTHING;
    return this.#close(new GatewayError("engine_cut", "the engine's answer ended before it was complete"));
  }

  /** The connection failed: the answer is complete all the same when its finish had come, else it ends in `error`. */
  fail(error: GatewayError): StreamEvent[] {
    return this.#close(error);
  }

  /** The gateway wants no more (its client has left): nothing but the estimate of what came so far. */
  abandon(): void {
    this.#terminate();
  }

  #close(error: GatewayError): StreamEvent[] {
    if (this.#ended) return NOTHING;
    const out: StreamEvent[] = [];
    this.#out = out;
    this.#cutBy = error;
    this.#reader.end();
    if (!this.#ended && this.#body !== undefined) this.#notStream(this.#body);
    if (!this.#ended) this.#finishOr(error);
    return out;
  }

  /** Set while the rest of a stream that has ended is read: half an event is then a cut, not garbage. */
  #cutBy: GatewayError | undefined;

  #event(data: string, name: string): void {
    if (this.#ended) return;
    if (this.#body !== undefined) {
      this.#notStream(this.#body);
      return;
    }
    this.#begun = true;
    if (data.trim() === "[DONE]") {
      // An error captures its stack, which costs more than the rest of an answer's end: it is only made where it is one.
      if (this.#reason === undefined)
        this.#error(new GatewayError("engine_cut", "the engine ended its stream without a finish reason"));
      else this.#finish(this.#reason);
      return;
    }
    if (data === "") return;
    const escaped = data.includes("\\u");
    const source = escaped ? Buffer.from(data, "latin1").toString("utf8") : data;
    let chunk: Chunk;
    try {
      chunk = JSON.parse(source) as Chunk;
    } catch {
      this.#garbage();
      return;
    }
    if (typeof chunk !== "object" || chunk === null || Array.isArray(chunk)) this.#garbage();
    else if (name === "error" || (chunk.error !== undefined && chunk.error !== null) || chunk.object === "error")
      this.#engineError(chunk);
    else {
      if (!escaped && this.#lessons < MOST_LESSONS) this.#notePlain(chunk);
      this.#chunk(chunk, source, escaped ? TEXT : BYTES);
    }
  }

  /** Notes a chunk that brings one piece of text and nothing else: a template for others. */
  #notePlain({ choices, usage, timings }: Chunk): void {
    if (timings !== undefined || !Array.isArray(choices) || choices.length !== 1) return;
    const { delta, finish_reason } = (choices[0] ?? {}) as Choice;
    if (isGiven(finish_reason) || typeof delta !== "object" || delta === null) return;
    const given = Object.entries(delta).filter(([, value]) => isGiven(value));
    const [name, text] = given[0] ?? [];
    if (given.length === 1 && isTextField(name) && isText(text))
      this.#plain = { field: name, text, usage: readUsage(usage) };
  }

  #chunk(chunk: Chunk, source: string, mode: TextMode): void {
    if (chunk.usage !== undefined) this.#report(readUsage(chunk.usage));
    if (chunk.timings !== undefined) this.#report(readTimings(chunk.timings));
    const choices = chunk.choices;
    if (!Array.isArray(choices)) return;
    for (let i = 0; i < choices.length; i++) {
      const choice = choices[i] as Choice | null;
      if (typeof choice !== "object" || choice === null) continue;
      if (isGiven(choice.index) && choice.index !== 0) continue;
      if (typeof choice.delta === "object" && choice.delta !== null) this.#delta(choice.delta, mode, source, i);
      if (typeof choice.finish_reason === "string" && choice.finish_reason !== "") this.#finishReason(choice, mode);
      return;
    }
  }

  /** `source` and `position` say where the delta stands, for the few that must be parsed again. */
  #delta(delta: Delta, mode: TextMode, source: string, position: number): void {
    // Some servers send both names with the same text.
    const reasoning = isText(delta.reasoning) ? delta.reasoning : delta.reasoning_content;
    const before = this.#bytes;
    if (isText(reasoning)) this.#reasoning(mode.bytes(reasoning));
    const content = isText(delta.content) ? delta.content : delta.refusal;
    if (isText(content)) {
      this.#content(mode.bytes(content));
      if (this.#stopped) return;
    } else if (typeof delta.content === "object" && delta.content !== null) {
      this.#fail("engine_failed", "the engine sent content that is not text");
      return;
    }
    if (isGiven(delta.tool_calls) || isGiven(delta.function_call)) this.#toolCalls(delta, mode, source, position);
    if (this.#bytes > before) this.#chunks++;
  }

  #reasoning(text: ByteText): void {
    this.#bytes += text.length;
    this.#flushStops();
    this.#pushText({ type: "reasoning-delta", text });
  }

  #content(text: ByteText): void {
    this.#bytes += text.length;
    if (this.#stops === undefined) this.#pushText({ type: "text-delta", text });
    else this.#match(this.#stops, text);
  }

  #match(stops: StopMatcher, piece: ByteText): void {
    const { text, stop } = stops.push(piece);
    if (text !== "") this.#pushText({ type: "text-delta", text });
    if (stop === undefined) return;
    this.#stopped = true;
    this.#stopSequence = stop;
    this.#finish("stop");
  }

  #flushStops(): void {
    const text = this.#stops?.flush() ?? "";
    if (text !== "") this.#pushText({ type: "text-delta", text: asByteText(text) });
  }

  #pushText(event: StreamEvent): void {
    if (this.#calls.streaming) {
      this.#held.push(event);
      return;
    }
    this.#calls.close();
    this.#out.push(event);
  }

  #release(): void {
    if (this.#held.length === 0) return;
    this.#calls.close();
    // One by one: as arguments of one call, many would not fit on the stack.
    for (const event of this.#held) this.#out.push(event);
    this.#held = [];
  }

  #toolCalls(delta: Delta, mode: TextMode, source: string, position: number): void {
    this.#flushStops();
    let calls = callsOf(delta);
    if (calls.some(hasObjectArguments)) {
      const written = writtenOut(source, position);
      if (written === undefined) {
        this.#fail("engine_failed", "the engine sent a tool call whose arguments are nested too deeply");
        return;
      }
      calls = written;
    }
    const events = this.#out.length;
    this.#calls.addAll(calls, mode, this.#out);
    this.#countArguments(events);
    if (!this.#calls.streaming) this.#release();
  }

  /** `from`: the first of the events that the calls have just given. */
  #countArguments(from: number): void {
    for (let i = from; i < this.#out.length; i++) {
      const event = this.#out[i];
      if (event?.type === "tool-call-delta") this.#bytes += event.arguments.length;
    }
  }

  #finishReason(choice: Choice, mode: TextMode): void {
    const said = mode.text(choice.finish_reason as string);
    const reason = finishReason(said);
    if (reason === "failed") {
      this.#fail("engine_cut", `the engine broke its answer off (finish reason "${said}")`);
      return;
    }
    if (this.#reason !== undefined) return;
    // One that is in no engine's documentation.
    this.#reason = reason ?? "stop";
    // vLLM: `stop_reason`, SGLang: `matched_stop`. A number is a stop token, not one of the client's stop sequences.
    const stop = isText(choice.stop_reason) ? choice.stop_reason : choice.matched_stop;
    const sequence = isText(stop) ? mode.text(stop) : undefined;
    if (sequence !== undefined && this.#asked?.includes(sequence) !== false) this.#stopSequence = sequence;
  }

  #report(report: ReturnType<typeof readUsage>): void {
    if (report !== undefined) this.#usage.report(report);
  }

  #engineError(value: Chunk): void {
    this.#error(engineStreamError(value, this.#context));
  }

  #garbage(): void {
    if (this.#cutBy !== undefined) this.#finishOr(this.#cutBy);
    else this.#fail("engine_failed", "the engine sent an event that is not a chat completion chunk");
  }

  /** Lines that are no server-sent events: llama.cpp's `error: {…}`, a JSON error in place of a stream, or garbage. */
  #junk(line: string): void {
    if (this.#ended) return;
    const body = this.#body === undefined ? line : `${this.#body}\n${line}`;
    // Where no event has come, more of the same JSON may follow; its last line begins with a brace.
    const whole = (line === body || line.startsWith("}")) && parsed(body) !== undefined;
    if (this.#begun || whole || !body.startsWith("{") || body.length > LONGEST_BODY) this.#notStream(body);
    else this.#body = body;
  }

  /** `body`: a line, or the JSON that came in place of a stream. */
  #notStream(body: string): void {
    const json = body.startsWith("error:") ? body.slice("error:".length) : body;
    const value = parsed(json);
    if (typeof value === "object" && value !== null && (json !== body || "error" in value)) this.#engineError(value);
    else if (this.#cutBy !== undefined) this.#finishOr(this.#cutBy);
    else this.#fail("engine_failed", "the engine answered something that is not an event stream");
  }

  #finishOr(error: GatewayError): void {
    if (this.#reason === undefined) this.#error(error);
    else this.#finish(this.#reason);
  }

  #finish(reason: FinishReason): void {
    if (!this.#stopped) this.#flushStops();
    const events = this.#out.length;
    // Stopped amid a call's arguments, the engine had more to say of them.
    this.#calls.finish(reason === "length" || reason === "content-filter" || this.#stopped, this.#out);
    this.#countArguments(events);
    this.#release();
    this.#terminate();
    this.#out.push(this.#finishEvent(reason));
  }

  /** Engines say `stop` after forced calls, and `tool_calls` where their parser then found none. */
  #finishEvent(reason: FinishReason): FinishEvent {
    if (reason === "length" || reason === "content-filter") return { type: "finish", reason };
    if (this.#calls.any) return { type: "finish", reason: "tool-calls" };
    if (this.#stopSequence === undefined) return { type: "finish", reason: "stop" };
    return { type: "finish", reason: "stop-sequence", stopSequence: this.#stopSequence };
  }

  #fail(code: "engine_failed" | "engine_cut", message: string): void {
    this.#error(new GatewayError(code, message));
  }

  #error(error: GatewayError): void {
    if (this.#ended) return;
    this.#terminate();
    this.#out.push({ type: "error", error });
  }

  #terminate(): void {
    this.#ended = true;
    this.#reader.stop();
    this.#usage.estimate({ prompt: 0, completion: this.countedTokens });
  }
}

/** JSON out of bytes; undefined where they are none. */
function parsed(bytes: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes, "latin1").toString("utf8")) as unknown;
  } catch {
    return undefined;
  }
}

function isTextField(name: unknown): name is TextField {
  return name === "content" || name === "reasoning" || name === "reasoning_content";
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** SGLang writes `"tool_calls":null` into every chunk. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function callsOf(delta: Delta): ToolCallDelta[] {
  const calls = Array.isArray(delta.tool_calls) ? (delta.tool_calls as unknown[]) : [];
  // OpenAI's older form: one call, without id or index.
  const all = delta.function_call ? [...calls, { function: delta.function_call }] : calls;
  return all.filter((call): call is ToolCallDelta => typeof call === "object" && call !== null);
}

/**
 * The calls with their arguments as JSON text. Rare, and only then worth parsing again: numbers in them must not lose digits. Undefined
 * where they are nested deeper than they can be read and written so, which is thousands of levels.
 */
function writtenOut(source: string, position: number): ToolCallDelta[] | undefined {
  try {
    const chunk = parseExact(source) as { choices: { delta: Delta }[] };
    return callsOf(chunk.choices[position]?.delta ?? {}).map((call) =>
      hasObjectArguments(call)
        ? { ...call, function: { ...call.function, arguments: JSON.stringify(call.function.arguments) } }
        : call,
    );
  } catch {
    return undefined;
  }
}

function hasObjectArguments(call: ToolCallDelta): call is ToolCallDelta & { function: { arguments: object } } {
  const fn = call.function;
  return typeof fn === "object" && fn !== null && "arguments" in fn && isObjectOrList(fn.arguments);
}

function isObjectOrList(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
