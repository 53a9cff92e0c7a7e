/**
 * The examples in the library's documentation, with the permissions that a program of it needs:
 * `deno task test:doc`. As `deno test --doc` would run them, but in one isolate, with threads one
 * after another. Their types are checked by `deno task check:types`.
 */
import "../support/thread_pool.ts";
import { assert } from "@std/assert";

const FILES = [
  ...["mod.ts", "src/llm/engine.ts", "src/server/serve_models.ts"],
  ...["docs/library.md", "README.md"],
];
/** A block of TypeScript, in a comment or not; `ignore` behind `ts` keeps it from being run. */
const BLOCK = /^([ *]*)```ts\n([^]*?)\n\1```$/gm;

for (const file of FILES) {
  const text = Deno.readTextFileSync(new URL(`../../${file}`, import.meta.url));
  const blocks = [...text.matchAll(BLOCK)];
  assert(blocks.length > 0, `${file} has no example`);
  for (const { index, 1: margin, 2: block } of blocks) {
    const line = text.slice(0, index).split("\n").length;
    const code = block.split("\n").map((line) => line.slice(margin.length)).join("\n");
    Deno.test(`${file}, the example in line ${line}`, async () => {
      await import(`data:application/typescript,${encodeURIComponent(`${code}\nexport {};`)}`);
    });
  }
}
