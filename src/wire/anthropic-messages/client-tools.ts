/**
 * Knows the tools that Anthropic defines by a type alone and the client runs itself: bash, the text editor and memory.
 * Claude models know their parameters by heart; any other model must be shown them. Parameters as in Anthropic's
 * documentation of each tool and the SDK's types (`BetaMemoryTool20250818…Command`).
 */
import type { JsonObject } from "../../conversation/request.ts";

export type ClientTool = { description: string; schema: JsonObject };

/** The definition for a wire type such as `bash_20250124`, or undefined where the client does not run it. */
export function clientTool(type: string): ClientTool | undefined {
  if (/^bash_\d{8}$/.test(type)) return BASH;
  if (/^memory_\d{8}$/.test(type)) return MEMORY;
  const editor = /^text_editor_(\d{8})$/.exec(type)?.[1];
  if (editor === undefined) return undefined;
  // Undo was dropped, and the name of the inserted text changed, with the editor of 2025-04-29.
  return editor < "20250429" ? OLD_EDITOR : EDITOR;
}

const string = (description: string): JsonObject => ({ type: "string", description });
const viewRange: JsonObject = {
  type: "array",
  items: { type: "integer" },
  description: "For view: first and last line to show, from 1; -1 as the last means to the end.",
};

const BASH: ClientTool = {
  description: "Runs a command in a bash session that keeps its state between calls.",
  schema: {
    type: "object",
    properties: {
      command: string("The command to run. Required unless the session is restarted."),
      restart: { type: "boolean", description: "true restarts the session." },
    },
  },
};

const editorProperties: JsonObject = {
  path: string("Path of the file or directory."),
  view_range: viewRange,
  file_text: string("For create: the content of the new file."),
  old_str: string("For str_replace: the text to replace; it must occur exactly once."),
  new_str: string("For str_replace: the text that takes its place."),
  insert_line: { type: "integer", description: "For insert: the line after which the text goes; 0 is the beginning." },
};

const EDITOR: ClientTool = {
  description: "Views, creates and edits text files.",
  schema: {
    type: "object",
    properties: {
      command: { type: "string", enum: ["view", "create", "str_replace", "insert"] },
      ...editorProperties,
      insert_text: string("For insert: the text to insert."),
    },
    required: ["command", "path"],
  },
};

const OLD_EDITOR: ClientTool = {
  description: "Views, creates and edits text files.",
  schema: {
    type: "object",
    properties: {
      command: { type: "string", enum: ["view", "create", "str_replace", "insert", "undo_edit"] },
      ...editorProperties,
      new_str: string("For str_replace: the text that takes its place. For insert: the text to insert."),
    },
    required: ["command", "path"],
  },
};

const MEMORY: ClientTool = {
  description: "Keeps notes in files under /memories that last between conversations.",
  schema: {
    type: "object",
    properties: {
      command: { type: "string", enum: ["view", "create", "str_replace", "insert", "delete", "rename"] },
      path: string("Path of the file or directory, under /memories. Not for rename."),
      view_range: viewRange,
      file_text: string("For create: the content of the file."),
      old_str: string("For str_replace: the text to replace; it must occur exactly once."),
      new_str: string("For str_replace: the text that takes its place."),
      insert_line: editorProperties["insert_line"],
      insert_text: string("For insert: the text to insert."),
      old_path: string("For rename: the present path."),
      new_path: string("For rename: the new path."),
    },
    required: ["command"],
  },
};
