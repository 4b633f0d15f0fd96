/**
 * The canonical request: what a client asks of a model, richer than any one wire. Wire codecs decode into it and the
 * engine encodes from it; nothing in between knows a wire.
 */

/** A JSON object as it came, key order kept; integers beyond 2^53 are held as `JSON.rawJSON` values. */
export type JsonObject = { [key: string]: unknown };

export type TextPart = { type: "text"; text: string };

/** An image, as base64 with its media type or as a URL that the engine (never the gateway) would fetch. */
export type ImagePart =
  | { type: "image"; source: { kind: "base64"; mediaType: string; data: string } }
  | { type: "image"; source: { kind: "url"; url: string } };

/** A document; `text` sources are read as they are, `pdf` ones are turned into text before they reach an engine. */
export type DocumentPart = {
  type: "document";
  title?: string;
  context?: string;
  source: { kind: "text"; text: string } | { kind: "pdf"; data: string } | { kind: "url"; url: string };
};

/** Stands where a late tool's definition was loaded into the conversation (`defer_loading` tools). */
export type ToolReferencePart = { type: "tool-reference"; name: string };

/** Earlier reasoning that the client sends back. `signed` says whose signature it carries: ours, or anybody else's. */
export type ReasoningPart = { type: "reasoning"; text: string; signed: "ours" | "foreign" | "none" };

/** `arguments` is JSON text, byte for byte as the model wrote it where the wire allows that. */
export type ToolCallPart = { type: "tool-call"; id: string; name: string; arguments: string };

export type ToolResultContent = TextPart | ImagePart | DocumentPart | ToolReferencePart;

export type ToolResultPart = { type: "tool-result"; callId: string; content: ToolResultContent[]; isError: boolean };

export type UserPart = TextPart | ImagePart | DocumentPart | ToolResultPart | ToolReferencePart;
export type SystemPart = TextPart | ImagePart;
export type AssistantPart = TextPart | ReasoningPart | ToolCallPart;

/**
 * One message where it stood. `system` messages keep their place inside the conversation; a wire that has tool-role
 * messages (OpenAI) decodes each to a user message with one tool result.
 */
export type Message =
  | { role: "system"; content: SystemPart[] }
  | { role: "user"; content: UserPart[] }
  | { role: "assistant"; content: AssistantPart[] };

/** A tool that the client runs. `deferred` ones are only known to the model once a tool reference stands for them. */
export type FunctionTool = {
  type: "function";
  name: string;
  description?: string;
  /** JSON Schema of the arguments, key order as the client sent it. */
  schema: JsonObject;
  strict?: boolean;
  deferred: boolean;
};

/** A tool that the client expects the server to run, such as web search; `kind` is the wire's type string. */
export type ServerTool = { type: "server"; name: string; kind: string };

/** Anthropic's search in tools that are loaded late, run by the server. Clients that search by themselves declare none. */
export function isToolSearch(tool: ServerTool): boolean {
  return tool.kind.startsWith("tool_search_tool");
}

export type Tool = FunctionTool | ServerTool;

export type ToolChoice = { type: "auto" } | { type: "none" } | { type: "required" } | { type: "tool"; name: string };

export type Sampling = {
  temperature?: number;
  topP?: number;
  topK?: number;
  minP?: number;
  seed?: number;
  frequencyPenalty?: number;
  presencePenalty?: number;
};

/** What the client wants of reasoning: `unset` leaves it to the model's default. Budgets are tokens. */
export type ReasoningWish = {
  mode: "unset" | "on" | "off";
  budget?: number;
  effort?: string;
};

/** A shape that the answer must have. */
export type OutputFormat =
  | { type: "json-object" }
  | { type: "json-schema"; name: string; schema: JsonObject; strict?: boolean };

/** Who is asking, as the client itself says: for usage rows, routing affinity and the prefix guard. Never for access. */
export type SessionIdentity = { session?: string; agent?: string; parentAgent?: string };

/** How the client wants its answer written, where its wire offers a choice. Only that wire's encoders read it. */
export type AnswerForm = {
  /** OpenAI: a last chunk with the usage (`stream_options.include_usage`). */
  usageChunk?: boolean;
  /** OpenAI: calls in the legacy form (`function_call`), because the tools came in it (`functions`). */
  legacyFunctionCall?: boolean;
  /** OpenAI Responses: what its answers repeat of the request. */
  responses?: ResponsesForm;
};

/** What an answer on OpenAI's Responses wire needs of its request beyond the conversation. */
export type ResponsesForm = {
  /** Members of the response object that repeat the request: JSON text without the braces. */
  echo: string;
  /** Reasoning items carry their text in `encrypted_content` too (`include`), for clients that send back nothing else. */
  carryReasoning: boolean;
  /** By the name that the engine knows: how the client named the tool. */
  tools: ReadonlyMap<string, ResponsesTool>;
};

/** A function of the client's, a tool that takes free text, or the client's own search for more tools. */
export type ResponsesToolKind = "function" | "custom" | "search";
export type ResponsesTool = { name: string; namespace?: string; kind: ResponsesToolKind };

export type ChatRequest = {
  /** The model name that the client asked for; resolved to a served model by routing. */
  model: string;
  stream: boolean;
  /** System text before the conversation, in order. */
  system: TextPart[];
  messages: Message[];
  tools: Tool[];
  toolChoice?: ToolChoice;
  /** `false` asks for at most one tool call an answer. */
  parallelToolCalls?: boolean;
  /** Most tokens to generate; absent lets the engine use what the window leaves. */
  maxTokens?: number;
  sampling: Sampling;
  stop: string[];
  reasoning: ReasoningWish;
  output?: OutputFormat;
  identity: SessionIdentity;
  /** Engine parameters outside this model (`chat_template_kwargs`, `top_k` of other spellings …), sent on as they are. */
  extensions: JsonObject;
  /** What was accepted and has no effect, as `where:name`; counted, and reported in a response header. */
  ignored: string[];
  answerForm?: AnswerForm;
};
