/** Files beside a model, on the command line. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { tinyAdapter } from "../support/tiny_adapter.ts";
import { tinyEagle } from "../support/tiny_eagle.ts";
import { tinyVision } from "../support/tiny_vision.ts";
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

Deno.test("list says of files that are no models what they are for", () =>
  withTinyModel(async (path, folder) => {
    const files = {
      change: tinyAdapter(await Deno.readFile(path)),
      ...{ eyes: tinyVision(), guesses: tinyEagle() },
    };
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${name}.gguf`, bytes);
    }
    const { code, stdout } = await runCli(["list", "--models-dir", folder]);
    assertEquals(code, 0);
    for (
      const [name, use] of [
        ["change", "an adapter: --lora, or --control-vector"],
        ["eyes", "a projector: --mmproj"],
        ["guesses", "guesses for another model: --draft-model"],
      ]
    ) {
      const line = stdout.split("\n").find((each) => each.startsWith(name));
      assertStringIncludes(line ?? "", `- (${use})`);
    }
  }));
