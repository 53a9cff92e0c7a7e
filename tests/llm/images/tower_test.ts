/** What is known of a model's eyes before they look. */
import { assertEquals } from "@std/assert";
import { parseGguf } from "../../../src/gguf/mod.ts";
import { Tower } from "../../../src/llm/images/tower.ts";
import { describeModel } from "../../../src/model/mod.ts";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { tinyModel } from "../../support/tiny_model.ts";
import { tinyVision, type TinyVisionName } from "../../support/tiny_vision.ts";

Deno.test("Tower.wholeRows says how many rows of an image see each other, at most", async () => {
  const { config } = describeModel(parseGguf(tinyModel({ architecture: "gemma3" })));
  const module = await loadKernelModule();
  const path = await Deno.makeTempFile({ prefix: "ganglion-eyes-", suffix: ".gguf" });
  try {
    const rowsOf = (kind: TinyVisionName) => {
      Deno.writeFileSync(path, tinyVision({ kind }));
      return Tower.openAll(path, { config, module }, { threads: 1 })[0].wholeRows;
    };
    // 6 · 6 patches by blocks of four; 1,600 pixels by blocks of 8 · 8.
    assertEquals([rowsOf("gemma3"), rowsOf("gemma4v"), rowsOf("pixtral")], [9, 25, undefined]);
  } finally {
    await Deno.remove(path);
  }
});
