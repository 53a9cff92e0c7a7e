/** Files beside a model, on the command line. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { runCli, withTinyModel } from "./run_cli.ts";

Deno.test("a file beside the model that is not there is called by its name", () =>
  withTinyModel(async (path, folder) => {
    const missing = `${folder}/nowhere.gguf`;
    for (
      const [flag, name, ...more] of [
        ["--lora", "adapter"],
        ["--mmproj", "projector"],
        ["--draft-model", "draft model", "--dense"],
      ]
    ) {
      const { code, stderr } = await runCli(["run", path, "hi", flag, missing, ...more]);
      assertEquals(code, 1);
      assertStringIncludes(stderr, `Cannot open the ${name}: there is no such file`);
      assertStringIncludes(stderr, missing);
    }
    const { code, stderr } = await runCli(["run", path, "hi", "--speculate", "-1"]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "auto, off or a whole number from 0 to 15 is needed");
  }));
