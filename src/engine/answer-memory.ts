/**
 * How much memory one answer may take. Whole answers, text that is held back and the calls of an answer are kept until its end, and an engine
 * that never stops would fill the process that all tenants share. Streamed answers obey it too: OpenAI's Responses repeat all of theirs at the end.
 */

/** Bytes: two million tokens that come one by one. */
export const MOST_MEMORY = 128 * 1024 * 1024;

/** Bytes that a piece of text takes beside its characters: measured at 56 as part of a longer text, more as an event. */
export const PIECE_MEMORY = 64;

/** Bytes of a tool call beside its arguments. */
export const CALL_MEMORY = 256;
