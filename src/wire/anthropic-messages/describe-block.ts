/**
 * Turns content blocks that no engine knows into plain text: the work of Anthropic's server tools in a conversation's
 * history, search results, and types that are new. The words are constant for the same block, and leave out what
 * clients change between turns, so that earlier turns keep their text.
 */
import type { JsonObject } from "../../conversation/request.ts";
import { isObject } from "./fields.ts";

export function describeBlock(block: JsonObject, type: string): string {
  switch (type) {
    case "search_result":
      return [string(block["title"]), string(block["source"]), "", textOf(block["content"])].join("\n").trim();
    case "server_tool_use":
      return `[the server tool ${string(block["name"])} was called with ${toJson(block["input"] ?? {})}]`;
    case "mcp_tool_use":
      return `[the MCP tool ${string(block["server_name"])}/${string(block["name"])} was called with ${toJson(block["input"] ?? {})}]`;
    case "web_search_tool_result":
      return describeResult("web search", block["content"], searchResults);
    case "web_fetch_tool_result":
      return describeResult("web fetch", block["content"], fetchedPage);
    case "mcp_tool_result":
      return `[the MCP tool ${block["is_error"] === true ? "failed" : "answered"}]\n${textOf(block["content"])}`;
    case "code_execution_tool_result":
    case "bash_code_execution_tool_result":
      return describeResult("code execution", block["content"], executionOutput);
    default:
      return `[${type}] ${toJson(block)}`;
  }
}

/** The names of the tools that a `tool_search_tool_result` found. */
export function referencedTools(block: JsonObject): string[] {
  const content = block["content"];
  const references = isObject(content) ? content["tool_references"] : undefined;
  if (!Array.isArray(references)) return [];
  return references.flatMap((reference) =>
    isObject(reference) && typeof reference["tool_name"] === "string" && reference["tool_name"] !== ""
      ? [reference["tool_name"]]
      : [],
  );
}

function describeResult(what: string, content: unknown, body: (content: unknown) => string): string {
  const code = isObject(content) ? content["error_code"] : undefined;
  if (typeof code === "string") return `[the ${what} failed: ${code}]`;
  return content === undefined ? `[the ${what} answered]` : `[the ${what} answered]\n${body(content)}`;
}

function searchResults(content: unknown): string {
  if (!Array.isArray(content)) return toJson(content);
  return content
    .map((result) => (isObject(result) ? `- ${string(result["title"])} (${string(result["url"])})` : toJson(result)))
    .join("\n");
}

function fetchedPage(content: unknown): string {
  const document = isObject(content) ? content["content"] : undefined;
  const source = isObject(document) ? document["source"] : undefined;
  if (!isObject(content) || !isObject(source) || source["type"] !== "text") return toJson(content);
  return `${string(content["url"])}\n${string(source["data"])}`;
}

function executionOutput(content: unknown): string {
  if (!isObject(content) || typeof content["stdout"] !== "string") return toJson(content);
  const stderr = string(content["stderr"]);
  return `${content["stdout"]}${stderr === "" ? "" : `\n${stderr}`}\n[exit code ${string(content["return_code"])}]`;
}

/** The text of a string or of a list of text blocks. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return content === undefined || content === null ? "" : toJson(content);
  return content
    .map((part) => (isObject(part) && typeof part["text"] === "string" ? part["text"] : toJson(part)))
    .join("\n");
}

function string(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** JSON without cache marks, which move from turn to turn, and without ciphers and file data, which tell a model nothing. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (key === "cache_control" || key.startsWith("encrypted_")) return undefined;
    if (key === "data" && typeof inner === "string" && inner.length > 512) return `[${inner.length} characters]`;
    return inner;
  });
}
