/** A model that answers a source, on the command line. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCli, withTinyModel } from "./run_cli.ts";

Deno.test("show says how many layers read and write, run answers, perplexity has no use for it", () =>
  withTinyModel(async (path) => {
    const shown = await runCli(["show", path]);
    assertMatch(shown.stdout, /layers +3 that read, 2 that write\n/);
    assertMatch(shown.stdout, /with 512 tokens of context\n/);
    const { writing_layers: writing } = JSON.parse((await runCli(["show", path, "--json"])).stdout);
    assertEquals(writing, 2);
    const asked = ["--temperature", "0", "--max-tokens", "4", "--gpu", "off", "--threads", "1"];
    const answered = await runCli(["run", path, "the", ...asked]);
    assertEquals([answered.code, answered.stdout.trim() !== ""], [0, true]);
    const measured = await runCli(["perplexity", path, "--file", "-"], {
      stdin: "the ".repeat(400),
    });
    assertEquals(measured.code, 1);
    assertStringIncludes(
      measured.stderr,
      "with this model: t5 reads a source and writes an answer",
    );
  }, { architecture: "t5" }));
