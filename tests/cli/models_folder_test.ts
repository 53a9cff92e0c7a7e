import { assertEquals } from "@std/assert";
import { modelPath } from "../../src/cli/models_folder.ts";
import { BUILT_IN_MODEL_PATH } from "../../src/llm/built_in_model.ts";

Deno.test("modelPath() takes a pulled model, not a folder that is called like it", async () => {
  const folder = await Deno.makeTempDir();
  const before = Deno.cwd();
  try {
    for (const name of ["tiny", "built-in", "other"]) {
      await Deno.mkdir(`${folder}/here/${name}`, { recursive: true });
    }
    await Deno.writeTextFile(`${folder}/tiny.gguf`, "");
    Deno.chdir(`${folder}/here`);
    assertEquals(modelPath("tiny", folder), `${folder}/tiny.gguf`);
    assertEquals(modelPath("built-in", folder), BUILT_IN_MODEL_PATH);
    assertEquals(modelPath("other", folder), "other");
    await Deno.writeTextFile("file", "");
    assertEquals(modelPath("file", folder), "file");
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
});
