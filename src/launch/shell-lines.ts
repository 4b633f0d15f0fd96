/** Writes variables as lines that a POSIX shell can `eval`. */

export function shellLines(set: Readonly<Record<string, string>>, remove: readonly string[]): string {
  const lines = Object.entries(set).map(([name, value]) => `export ${name}=${quote(value)}`);
  if (remove.length > 0) lines.push(`unset ${remove.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}

function quote(value: string): string {
  return /^[\w.:/@%+,=-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
