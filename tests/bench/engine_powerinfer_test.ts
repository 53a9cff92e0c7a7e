import { assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { powerInfer } from "./engine_powerinfer.ts";

/** Tells its arguments and the threshold that it would use as the version of its build. */
const FAKE = `#!/bin/sh
said="$* threshold=$LLAMA_SPARSE_PRED_THRESHOLD"
echo "[{\\"build_commit\\": \\"$said\\", \\"n_prompt\\": 3, \\"n_gen\\": 0, \\"avg_ts\\": 96},"
echo "{\\"build_commit\\": \\"$said\\", \\"n_prompt\\": 0, \\"n_gen\\": 8, \\"avg_ts\\": 71}]"
`;

Deno.test({
  name: "powerInfer() measures without a GPU, and with the threshold of the file",
  ignore: Deno.build.os === "windows", // no scripts as programs
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "ganglion-bench-test-" });
    const before = Deno.env.get("LLAMA_SPARSE_PRED_THRESHOLD");
    try {
      const path = join(folder, "llama-bench");
      await Deno.writeTextFile(path, FAKE, { mode: 0o755 });
      Deno.env.set("LLAMA_SPARSE_PRED_THRESHOLD", "0.5");
      const sample = await (await powerInfer(path)).measure({
        modelPath: "m.gguf",
        threads: 2,
        promptIds: [5, 6, 7],
        seed: 1,
        genTokens: 8,
        decodeAtDepth: false,
      });
      const version = "-m m.gguf -t 2 -r 1 -ngl 0 -o json -p 3 -n 8 threshold=";
      assertEquals(sample, { prefillTps: 96, decodeTps: 71, idsHash: null, version });
    } finally {
      if (before === undefined) Deno.env.delete("LLAMA_SPARSE_PRED_THRESHOLD");
      else Deno.env.set("LLAMA_SPARSE_PRED_THRESHOLD", before);
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("powerInfer() refuses a path without a program", async () => {
  await assertRejects(() => powerInfer("/no/such/llama-bench"), Deno.errors.NotFound);
  await assertRejects(() => powerInfer("."), Error, '"." is no file');
});
