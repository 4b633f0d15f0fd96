/** Copies what tsc leaves behind into dist/: the SQL migrations and other data files that the product reads. */
import { cpSync, globSync, mkdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";

for (const file of globSync("src/**/*.{sql,json,jinja}", { exclude: (name) => name.includes("__fixtures__") })) {
  const target = join("dist", relative("src", file));
  mkdirSync(dirname(target), { recursive: true });
  cpSync(file, target);
}
