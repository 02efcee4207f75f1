// Checks texts, one a line, with harper.js, and fails where it finds fault. Needs Node, and `npm install harper.js` in
// the current folder:
//
//     python -m tests.english.samples 300 > samples.txt && node tests/english/grammar.mjs samples.txt
//
// Rules that compare words with a dictionary are left out: it lacks instruments.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.cwd()}/node_modules/harper.js/dist/`);
const { LocalLinter, Dialect } = await import(new URL("index.js", folder));
const { binary } = await import(new URL("binary.js", folder));
const linter = new LocalLinter({ binary, dialect: Dialect.American });
const LEFT_OUT = ["SpellCheck", "SplitWords"];
const rules = await linter.getLintConfig();
for (const rule of LEFT_OUT) rules[rule] = false;
await linter.setLintConfig(rules);
let found = 0;
for (const line of readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean)) {
  for (const lint of await linter.lint(line)) {
    if (lint.message().startsWith("The canonical dictionary spelling")) continue; // answers are in lower case
    found += 1;
    console.log(`${lint.lint_kind()}: ${lint.message()} [${lint.get_problem_text()}]\n    ${line}`);
  }
}
console.log(`${found} faults`);
process.exit(found ? 1 : 0);
