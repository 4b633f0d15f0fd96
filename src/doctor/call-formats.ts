/**
 * The forms in which models write calls, and vLLM's parser for each. The names are those of vLLM 0.32; which model writes which form is read off
 * its chat template, which writes earlier calls as the model is to write the next.
 */
import { PROBE_ARGUMENTS, PROBE_NAME } from "./probe-tool.ts";

export type CallFormat = {
  /** What people call it. */
  name: string;
  /** The value of `--tool-call-parser`. */
  parser: string;
  /** The call in a rendered conversation, from its first to its last character. */
  written: RegExp;
  /** Of tokens that text cannot spell: a constrained answer may not hold them. */
  special?: true;
};

export const CALL_FORMATS: readonly CallFormat[] = [
  { name: "Hermes", parser: "hermes", written: /<tool_call>\s*\{[^]*?<\/tool_call>/ },
  { name: "Qwen3-Coder", parser: "qwen3_coder", written: /<tool_call>\s*<function=[^]*?<\/tool_call>/ },
  { name: "GLM", parser: "glm47", written: /<tool_call>[^<]*<arg_key>[^]*?<\/tool_call>/ },
  { name: "MiniMax", parser: "minimax_m2", written: /<minimax:tool_call>[^]*?<\/minimax:tool_call>/ },
  { name: "Seed-OSS", parser: "seed_oss", written: /<seed:tool_call>[^]*?<\/seed:tool_call>/ },
  {
    name: "Kimi K2",
    parser: "kimi_k2",
    written: /<\|tool_calls_section_begin\|>[^]*?<\|tool_calls_section_end\|>/,
    special: true,
  },
  {
    name: "DeepSeek V3",
    parser: "deepseek_v3",
    written: /<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function[^]*?<｜tool▁calls▁end｜>/,
    special: true,
  },
  {
    name: "DeepSeek V3.1",
    parser: "deepseek_v31",
    written: /<｜tool▁calls▁begin｜>[^]*?<｜tool▁calls▁end｜>/,
    special: true,
  },
  { name: "DeepSeek V3.2", parser: "deepseek_v32", written: /<｜DSML｜function_calls>[^]*?<\/｜DSML｜function_calls>/ },
  { name: "Gemma 4", parser: "gemma4", written: /<\|tool_call>[^]*?<tool_call\|>/, special: true },
  { name: "gpt-oss", parser: "openai", written: /<\|channel\|>commentary to=functions[^]*?<\|call\|>/, special: true },
  { name: "Mistral", parser: "mistral", written: /\[TOOL_CALLS\][^]*?\}\]?/, special: true },
  { name: "Llama 3", parser: "llama3_json", written: /\{"name": "\w+", "parameters": \{[^}]*\}\}/ },
  { name: "Python", parser: "pythonic", written: /\[\w+\(\w+=[^\n]*?\)\]/ },
];

/** The call of the probe's tool in a text that a template wrote, and its form. */
export function findWrittenCall(text: string): { format: CallFormat; call: string } | undefined {
  for (const format of CALL_FORMATS) {
    const call = format.written.exec(text)?.[0];
    if (call?.includes(PROBE_NAME)) return { format, call };
  }
  return undefined;
}

/** A call as text, of each form that any vocabulary can spell: to find out what a parser reads. */
export const SPELLED_CALLS: readonly { name: string; call: string }[] = [
  {
    name: "Hermes",
    call: `<tool_call>\n{"name": "${PROBE_NAME}", "arguments": ${PROBE_ARGUMENTS}}\n</tool_call>`,
  },
  {
    name: "Qwen3-Coder",
    call: `<tool_call>\n<function=${PROBE_NAME}>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>`,
  },
  {
    name: "GLM",
    call: `<tool_call>${PROBE_NAME}<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call>`,
  },
  {
    name: "MiniMax",
    call: `<minimax:tool_call>\n<invoke name="${PROBE_NAME}">\n<parameter name="city">Paris</parameter>\n</invoke>\n</minimax:tool_call>`,
  },
  { name: "Llama 3", call: `{"name": "${PROBE_NAME}", "parameters": ${PROBE_ARGUMENTS}}` },
  { name: "Python", call: `[${PROBE_NAME}(city="Paris")]` },
];

/** The reasoning parser of a model's family, by its name; undefined where none is known. */
export function reasoningParserOf(model: string): string | undefined {
  return REASONING_PARSERS.find(([family]) => family.test(model))?.[1];
}

const REASONING_PARSERS: readonly [RegExp, string][] = [
  [/qwen-?3|mellum|mimo-v2-flash/i, "qwen3"],
  [/deepseek-?r1|qwq/i, "deepseek_r1"],
  [/deepseek-?v4/i, "deepseek_v4"],
  [/deepseek/i, "deepseek_v3"],
  [/glm-?[45]/i, "glm45"],
  [/minimax-?m3/i, "minimax_m3"],
  [/minimax/i, "minimax_m2"],
  [/kimi-?k3/i, "kimi_k3"],
  [/kimi/i, "kimi_k2"],
  [/gemma-?4/i, "gemma4"],
  [/magistral|ministral|mistral/i, "mistral"],
  [/nemotron/i, "nemotron_v3"],
  [/seed-?oss/i, "seed_oss"],
  [/step-?3/i, "step3p5"],
];

/** The tool-call parser of a model's family, by its name: the second best after its template. */
export function toolParserOf(model: string): string | undefined {
  return TOOL_PARSERS.find(([family]) => family.test(model))?.[1];
}

const TOOL_PARSERS: readonly [RegExp, string][] = [
  [/qwen-?3(-coder|\.[5-9])/i, "qwen3_coder"],
  [/qwen|mellum|hermes/i, "hermes"],
  [/glm-?4\.[56]/i, "glm45"],
  [/glm-?(4\.7|5)/i, "glm47"],
  [/minimax-?m3/i, "minimax_m3"],
  [/minimax/i, "minimax_m2"],
  [/kimi-?k3/i, "kimi_k3"],
  [/kimi/i, "kimi_k2"],
  [/deepseek-?v4/i, "deepseek_v4"],
  [/deepseek-?v3\.2/i, "deepseek_v32"],
  [/deepseek-?v3\.1/i, "deepseek_v31"],
  [/deepseek/i, "deepseek_v3"],
  [/gpt-?oss/i, "openai"],
  [/gemma-?4/i, "gemma4"],
  [/ministral|mistral|magistral|devstral/i, "mistral"],
  [/seed-?oss/i, "seed_oss"],
  [/llama-?4/i, "llama4_pythonic"],
  [/llama-?3/i, "llama3_json"],
  [/step-?3/i, "step3p5"],
];
