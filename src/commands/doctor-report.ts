/** What `evener doctor` prints for people: rows that come one after the other, cut into lines that fit, and the matrix of tool calls. */
import { stripVTControlCharacters, styleText } from "node:util";
import { CHECKS, type Finding, type Result } from "../doctor/finding.ts";
import { CHOICES, type Cell, THINKING } from "../doctor/tool-matrix.ts";
import { printable } from "./table.ts";

const GAP = "  ";
const CHECK_WIDTH = Math.max(...Object.values(CHECKS).map((name) => name.length));
/** Narrower terminals break the lines themselves. */
const LEAST_ROOM = 70;
const RESULT_WIDTH = "warning".length;

/** Of what checks and results leave, the findings get a little more than the half. */
function widths(room: number): readonly [number, number, number, number] {
  const check = Math.min(CHECK_WIDTH, Math.floor(room / 4));
  const left = room - check - RESULT_WIDTH - 3 * GAP.length;
  const found = Math.round(left * 0.55);
  return [check, RESULT_WIDTH, found, left - found];
}

/** `room`: columns of the terminal. Lines end with a newline. */
export function reportHead(room: number): string {
  const sizes = widths(Math.max(room, LEAST_ROOM));
  const titles = ["CHECK", "RESULT", "FOUND", "WHAT TO DO"];
  const rule = sizes.map((width) => "─".repeat(width)).join(GAP);
  return `${styleText("bold", lineOf(titles, sizes))}\n${styleText("dim", rule)}\n`;
}

export function reportRows(findings: readonly Finding[], room: number): string {
  const sizes = widths(Math.max(room, LEAST_ROOM));
  return findings
    .map(({ id, result, found, advice }) => {
      const cells = [CHECKS[id], result, found, advice ?? ""].map((text, index) =>
        wrap(printable(text), sizes[index] ?? 1),
      );
      const height = Math.max(...cells.map((lines) => lines.length));
      return Array.from({ length: height }, (_, line) => {
        const texts = cells.map((lines) => lines[line] ?? "");
        return `${lineOf(texts.with(1, coloured(result, texts[1] ?? "")), sizes)}\n`;
      }).join("");
    })
    .join("");
}

/** Each way to ask against thinking; a cell says what became of the call. */
export function reportMatrix(cells: readonly Cell[]): string {
  const rows = CHOICES.flatMap((choice) =>
    [false, true].map((streamed) => [
      `${choice}, ${streamed ? "streamed" : "whole"}`,
      ...THINKING.map((thinking) => {
        const cell = cells.find(
          (one) => one.choice === choice && one.thinking === thinking && one.streamed === streamed,
        );
        return cell === undefined ? "" : coloured(cell.result, cell.outcome);
      }),
    ]),
  );
  const titles = ["TOOL CALLS", ...THINKING.map((thinking) => `THINKING ${thinking.toUpperCase()}`)];
  const sizes = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => plainWidth(row[column] ?? ""))),
  );
  const rule = sizes.map((width) => "─".repeat(width)).join(GAP);
  const lines = [
    styleText("bold", lineOf(titles, sizes)),
    styleText("dim", rule),
    ...rows.map((row) => lineOf(row, sizes)),
  ];
  return `\n${lines.join("\n")}\n\n`;
}

function lineOf(texts: readonly string[], sizes: readonly number[]): string {
  return texts
    .map((text, index) => text + " ".repeat(Math.max((sizes[index] ?? 0) - plainWidth(text), 0)))
    .join(GAP)
    .trimEnd();
}

/** By words; a word that is longer than the line is cut. Flags stay whole, to be copied. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  const words = text.split(" ").flatMap((whole) => (whole.startsWith("--") ? whole : pieces(whole, width)));
  for (const word of words) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function pieces(word: string, width: number): string[] {
  const all: string[] = [];
  for (let start = 0; start < word.length; start += width) all.push(word.slice(start, start + width));
  return all;
}

const COLOURS = { ok: "green", warning: "yellow", bad: "red", unknown: "dim" } as const;

function coloured(result: Result, text: string): string {
  return text === "" ? "" : styleText(COLOURS[result], text);
}

function plainWidth(text: string): number {
  return stripVTControlCharacters(text).length;
}
