import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SHAPES } from "../../src/synth/mod.ts";
import { runCli, startCli } from "./run_cli.ts";

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a verb that must succeed, and parses all of its stdout as one JSON document. */
async function runJson(args: readonly string[]) {
  const { code, stdout, stderr } = await runCli([...args, "--json"]);
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

Deno.test("synth writes a model that show understands", () =>
  withFolder(async (folder) => {
    const out = `${folder}/synth.gguf`;
    const made = await runJson(["synth", "--shape", "llama-160m", "-o", out]);
    const shown = await runJson(["show", out]);
    assertEquals([made.bytes, made.params], [shown.file_bytes, shown.parameters]);
    assertEquals([shown.quant, shown.layers], ["Q4_0", 12]);
  }));

Deno.test("synth --list shows every shape with its size", async () => {
  const { code, stdout } = await runCli(["synth", "--list"]);
  assertEquals(code, 0);
  const lines = stdout.trim().split("\n").map((line) => line.split(/ {2,}/));
  assertEquals(lines.map(([name]) => name), ["shape", ...Object.keys(SHAPES)]);
  const mixtral = lines.find(([name]) => name === "turbosparse-mixtral-47b");
  const size = ["32", "4096", "14336 × 8, 2 used", "46.91 billion", "drelu", "1024"];
  assertEquals(mixtral?.slice(1), size);
  const { shapes } = await runJson(["synth", "--list"]);
  assertEquals(shapes.map(({ name }: { name: string }) => name), Object.keys(SHAPES));
});

Deno.test("synth --predictors and --powerinfer say what they need", () =>
  withFolder(async (folder) => {
    const args = ["synth", "--shape", "llama-160m", "-o", `${folder}/x`];
    for (
      const [more, says] of [
        [["--predictors"], "give a sparsity"],
        [["--powerinfer"], "give a sparsity"],
        [["--predictor-rank", "33", "--sparsity", "0.9"], "a multiple of 32"],
        [["--predictor-rank", "-1", "--sparsity", "0.9"], "A whole number"],
      ] as const
    ) {
      const { code, stderr } = await runCli([...args, ...more]);
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, says);
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test({
  name: "synth removes what it has written when Ctrl-C stops it",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFolder(async (folder) => {
      // Tens of gigabytes: never done before it is stopped.
      const args = ["synth", "--shape", "turbosparse-mixtral-47b", "--quant", "F16"];
      const child = startCli([...args, "-o", `${folder}/x`]);
      child.stdin.close();
      while ([...Deno.readDirSync(folder)].length === 0) await new Promise((r) => setTimeout(r, 5));
      child.kill("SIGINT");
      const { code, stdout } = await child.output();
      assertEquals([code, stdout.length], [130, 0]);
      const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
      assert(left.length === 0, `${left}`);
    }),
});
