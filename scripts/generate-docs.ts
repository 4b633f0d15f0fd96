/**
 * Writes the reference of errors, docs/errors.md, from the one error table. `node scripts/generate-docs.ts` writes it; a test
 * fails when it is stale.
 */
import { writeFileSync } from "node:fs";
import { ERROR_TABLE } from "../src/conversation/errors.ts";

type Row = {
  status: number;
  openaiStatus?: number;
  anthropicType: string;
  openaiType: string;
  openaiCode: string | null;
  retry: "never" | "client" | number;
  when: string;
};

const INTRODUCTION = `# Errors

Every error that Evener answers, from \`src/conversation/errors.ts\` (this page is generated: \`node scripts/generate-docs.ts\`).

A client of Anthropic's API gets \`{"type":"error","error":{"type","message"},"request_id"}\` and the header \`request-id\`; one of
OpenAI's gets \`{"error":{"message","type","param","code"}}\` and \`x-request-id\`. The message says what is wrong and what to do. It
never holds a stack, a key or a prompt; the log has more, under the same request id.

What \`retry\` means: **no** is sent as \`x-should-retry: false\`, because waiting will not mend it; a time is sent as \`retry-after\`
(an engine or a limit that knows better replaces it); **up to the client** sends neither, and the official SDKs then try twice
more.
`;

const STREAMS = `## In the middle of a stream

Once a stream has begun its status is spent. The error then comes as an event with the same envelope (\`event: error\` on
Anthropic's wire, \`data: {"error":…}\` on OpenAI's), and the connection breaks off after it: no \`message_stop\`, no \`[DONE]\`, no
clean end. A stream that ends without its finish is never a complete answer. On the Responses wire the event is \`response.failed\`, which is a
last event of that API's own: the stream ends properly behind it.
`;

export function errorsPage(): string {
  const rows = Object.entries<Row>(ERROR_TABLE).map(([code, row]) => [
    `\`${code}\``,
    row.when,
    `${row.status} \`${row.anthropicType}\``,
    `${row.openaiStatus ?? row.status} \`${row.openaiType}\`, ${row.openaiCode === null ? "no code" : `\`${row.openaiCode}\``}`,
    retryAdvice(row.retry),
  ]);
  const table = markdownTable(["error", "when", "Anthropic", "OpenAI", "retry"], rows);
  return [INTRODUCTION, table, STREAMS].join("\n");
}

function retryAdvice(retry: Row["retry"]): string {
  if (retry === "never") return "no";
  return retry === "client" ? "up to the client" : `after ${retry} s`;
}

/** Columns padded to their widest cell, as the formatter has them. */
function markdownTable(head: string[], rows: string[][]): string {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: string[]): string => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |\n`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map((row) => line(row))].join("");
}

if (import.meta.main) writeFileSync("docs/errors.md", errorsPage());
