/** The V8 flags change how fast the engine is, and no bit of what it computes. */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { deepTest } from "../support/deep.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { runHere } from "../cli/run_here.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const FLAGS = "--no-wasm-bounds-checks,--experimental-wasm-revectorize";
const IDS = Array.from({ length: 45 }, (_, i) => 3 + (i * 37) % 500);

/** The bytes that `logits` writes, here where V8 has the flags; without any it is as it comes. */
async function logits(path: string, flags: string | null): Promise<Uint8Array> {
  const out = await Deno.makeTempFile();
  try {
    const env = Deno.env.toObject();
    delete env.DENO_V8_FLAGS;
    if (flags !== null) env.DENO_V8_FLAGS = flags;
    const args = ["logits", path, "--tokens", IDS.join(), "--out", out, "--threads", "2"];
    if (flags !== null && flags === Deno.env.get("DENO_V8_FLAGS")) {
      const { code, stderr } = await runHere({ args, stdin: "", env: {} });
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      return await Deno.readFile(out);
    }
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--no-prompt", "-A", MAIN, ...args],
      env,
      clearEnv: true,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return await Deno.readFile(out);
  } finally {
    await Deno.remove(out);
  }
}

/** Each way to multiply; what all kernels compute is compared in tests/wasm/flags_test.ts. */
const IN_GATE: readonly string[] = ["F16", "Q4_0"];

for (const type of ["F32", "F16", "BF16", "Q8_0", "Q4_0"] as const) {
  const deep = IN_GATE.includes(type)
    ? undefined
    : "F16 and Q4_0 are compared, and each kernel in tests/wasm";
  deepTest(`${type} logits are the same bits with and without the V8 flags`, deep, async () => {
    await withTinyFile({ type, embeddingLength: 256, feedForwardLength: 288 }, async (path) => {
      const fast = await logits(path, FLAGS);
      assertEquals(fast.length, IDS.length * 512 * 4);
      assertEquals(await logits(path, null), fast);
    });
  });
}
