/**
 * The product's V8 flags make the kernels faster and change no bit of what they compute. All tests
 * of kernels run with them by `deno task test:optimised`, without by `test:safe`.
 */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

const FLAGS = "--no-wasm-bounds-checks,--experimental-wasm-revectorize";
/** V8's default, said aloud: an empty DENO_V8_FLAGS is an error, an inherited one would count. */
const PLAIN = "--liftoff";
const HASHES = fileURLToPath(new URL("../kernels/outputs_hash.ts", import.meta.url));

/** Output of `deno …args` with these V8 flags. */
async function deno(flags: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { DENO_V8_FLAGS: flags, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr) + decoder.decode(stdout));
  return decoder.decode(stdout);
}

Deno.test("kernels compute the same bits with and without V8's flags, optimised or not", async () => {
  const run = (flags: string) => deno(flags, "run", "-A", "--no-check", HASHES);
  const plain = await run(PLAIN);
  assert(plain.split("\n").length > 10, plain);
  for (const flags of [FLAGS, `${FLAGS},--no-liftoff`, "--no-liftoff", "--liftoff-only"]) {
    assertEquals(await run(flags), plain, flags);
  }
});
