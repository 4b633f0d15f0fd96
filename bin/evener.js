#!/usr/bin/env node
// Plain JavaScript that old versions of Node can read, so that they get a sentence and not a syntax error.
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  console.error(
    `evener: needs Node 24 or newer, this is ${process.version}. Install a newer one, or run it with: npx -p node@26 -p evener evener`,
  );
  process.exit(1);
} else {
  await import("../dist/main.js");
}
