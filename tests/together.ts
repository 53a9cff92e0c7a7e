/**
 * Files of tests in one isolate, which `deno test` gives one for each: what they import is read
 * once, and V8 has optimised for the first file what the others call. Paths, from the top of the
 * repository, of files or folders come behind `--`. What a file leaves behind others see:
 * run.ts says who is run so.
 */
import { testsIn } from "./run.ts";

for (const path of Deno.args) {
  for (const file of path.endsWith(".ts") ? [path] : testsIn(path)) {
    await import(new URL(`../${file}`, import.meta.url).href);
  }
}
