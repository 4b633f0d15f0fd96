/** The marks around calls in all dialects, as bytes. They open or close a place for calls and are not calls themselves. */
/** U+FF5C and U+2581 as bytes, as they stand in DeepSeek's tokens. */
export const BAR = "\xef\xbd\x9c";

const TOKEN_BODY = "[A-Za-z_][\\w ]{0,40}";
const TAG_NAMES =
  "tool_calls?|toolcalls?|tool_use|tool_uses|function_calls?|functioncalls?|functions?_?calls|longcat_tool_call|tool_code|call|tools?";

/** An opening or closing mark, whole. Namespaces are before the name (`minimax:`, `antml:`) or DeepSeek's DSML. */
const MARK = new RegExp(
  [
    `<\\|(?!open\\||close\\||sep\\|)${TOKEN_BODY}\\|>`,
    `<\\|(?:open|close)\\|>(?:tools?|tool_calls|calls)<\\|sep\\|>`,
    `<\\|tool_call>|<tool_call\\|>|<\\|tool_response>`,
    `<${BAR}[^<>\\n]{1,60}${BAR}>`,
    `</?(?:\\w{1,20}:|${BAR}DSML${BAR})?(?:${TAG_NAMES})>`,
    `</?${BAR}DSML${BAR}(?:function_calls|tool_calls|invoke)>`,
    `</(?:\\w{1,20}:|${BAR}DSML${BAR})?(?:invoke|function|parameter|parameters|arguments|input|name|arg_value|arg_key)>`,
    "</?think(?:ing)?>",
    "\\[/?TOOL_CALLS?\\]",
    "\\[/?(?:TOOL_REQUEST|END_TOOL_REQUEST)\\]",
    "\\]<\\]minimax\\[>\\[",
    "functools(?=\\[)",
  ].join("|"),
  "iy",
);

/** Harmony's turn, where a call may follow. */
const TURN = /<\|start\|>assistant(?= to=|<\|channel\|>)/y;
/** Marks that say nothing of calls: they may stand around one. */
const NEUTRAL = /^<\/|^\[\/|think|^<\|(?:start|end|im_|eo|message|return|assistant|begin_of)|^\[END/i;
/** `{"tool_call":` and `{"name":` before an object: an opener that was begun and not meant. */
const DANGLING = /\{\s*["'](?:name|tool_calls?|function_calls?)["']\s*:\s*(?=[{[])/y;

/** After one of these the model spoke on for others: it is no answer any more. */
const END_OF_TURN =
  /^<\|(?:eom_id|eot_id|im_end|end_of_text|endoftext|return|end_of_turn|user|observation)\|>|^<\xef\xbd\x9cend\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>/;

export type Mark = {
  end: number;
  /** Says that a call follows. */
  opens: boolean;
  endOfTurn: boolean;
  /** Braces opened that no call needs. */
  dangling: number;
};

export function markAt(text: string, at: number): Mark | undefined {
  TURN.lastIndex = at;
  if (TURN.test(text))
    return { end: TURN.lastIndex, opens: text[TURN.lastIndex] !== "<", endOfTurn: false, dangling: 0 };
  MARK.lastIndex = at;
  const found = MARK.exec(text)?.[0];
  if (found !== undefined) {
    return { end: at + found.length, opens: !NEUTRAL.test(found), endOfTurn: END_OF_TURN.test(found), dangling: 0 };
  }
  DANGLING.lastIndex = at;
  const opener = DANGLING.exec(text)?.[0];
  return opener === undefined ? undefined : { end: at + opener.length, opens: false, endOfTurn: false, dangling: 1 };
}

/** All that a mark or a tagged call can begin with, in lower case. */
const BEGINNINGS = [
  "<|",
  `<${BAR}`,
  `</${BAR}`,
  "<tool",
  "</tool",
  "<function",
  "</function",
  "<invoke",
  "</invoke",
  "</parameter",
  "</arg_",
  "</longcat_tool_call",
  "</arguments",
  "</input",
  "</name",
  "<longcat_tool_call",
  "<call",
  "</call",
  "</think",
  "<think",
  "[tool_call",
  "[/tool_call",
  "[tool_request",
  "[end_tool",
  "]<]minimax[>[",
  "functools[",
];
const NAMESPACE = /^<\/?\w{1,20}:/;
const LONGEST = 96;

/** Whether the text's end, from here on, may be the beginning of a mark. */
export function markBegins(text: string, at: number): boolean {
  if (text.length - at > LONGEST) return false;
  const rest = text.slice(at).toLowerCase();
  if (/[>\n]/.test(rest.slice(1)) && !rest.startsWith("]<]")) return false;
  const local = rest.replace(NAMESPACE, (found) => (found.startsWith("</") ? "</" : "<"));
  if (BEGINNINGS.some((mark) => mark.startsWith(local) || local.startsWith(mark))) return true;
  return (
    /^<\/?\w{0,20}$/.test(rest) &&
    /^<\/?(?:m|a|s)/.test(rest) &&
    /^<\/?(?:m(?:i(?:n(?:i(?:m(?:ax?)?)?)?)?)?|a(?:n(?:t(?:ml?)?)?)?|s(?:e(?:ed?)?|t(?:e(?:p(?:t(?:ml?)?)?)?)?)?)$/.test(
      rest,
    )
  );
}

/** Whether more text must show what this begins. */
export function turnBegins(text: string, at: number): boolean {
  if (!text.startsWith("<|start|>", at) || text.length - at > 40) return false;
  const rest = text.slice(at);
  return ["<|start|>assistant to=", "<|start|>assistant<|channel|>"].some(
    (turn) => turn.length > rest.length && turn.startsWith(rest),
  );
}

const CLOSERS = /<\/[A-Za-z][\w:.-]{0,40}>/y;

/** Any closing tag, for those that stand orphaned right behind a call without markers. */
export function closingTagAt(text: string, at: number): number | undefined {
  CLOSERS.lastIndex = at;
  return CLOSERS.test(text) ? CLOSERS.lastIndex : undefined;
}

export function skipSpace(text: string, at: number): number {
  let to = at;
  for (;;) {
    const code = text.charCodeAt(to);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return to;
    to++;
  }
}
