import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { adapterChoices } from "../../src/cli/adapter_options.ts";
import { nmse } from "../support/compare.ts";
import { tinyAdapter } from "../support/tiny_adapter.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { runCli, withTinyModel } from "./run_cli.ts";

Deno.test("--lora takes files, how much of each, and more of them", () => {
  const half = { path: "b.gguf", scale: 0.5 };
  assertEquals(adapterChoices("a.gguf"), [{ path: "a.gguf" }]);
  assertEquals(adapterChoices("a.gguf,b.gguf:0.5"), [{ path: "a.gguf" }, half]);
  assertEquals(adapterChoices("c:-1", [half]), [half, { path: "c", scale: -1 }]);
  assertEquals(adapterChoices("C:\\a.gguf"), [{ path: "C:\\a.gguf" }]);
  for (const text of ["a.gguf:", "a.gguf:x", "a.gguf:1e999"]) {
    assertThrows(() => adapterChoices(text), Error, "such as a.gguf:0.5");
  }
});

/** Logits as the command line writes them. */
async function logits(out: string, args: string[], env = {}): Promise<Float32Array> {
  const fixed = ["--tokens", "1,17,300", "--threads", "1", "--out", out];
  const { code, stderr } = await runCli(["logits", ...args, ...fixed], { env });
  assertEquals(code, 0, stderr);
  return new Float32Array((await Deno.readFile(out)).buffer);
}

Deno.test("logits, show and quantize know --lora and its variable; each file what it is", () =>
  withTinyModel(async (path, folder) => {
    const lora = `${folder}/lora.gguf`;
    const [out, merged] = [`${folder}/out.f32`, `${folder}/merged.gguf`];
    await Deno.writeFile(lora, tinyAdapter(tinyModel(), { rank: 3, alpha: 6 }));
    const changed = await logits(out, [path], { GANGLION_LORA: `${lora}:0.5` });
    const plain = await logits(out, [path, "--exact"]);
    assertNotEquals(changed, plain);
    const exact = await logits(out, [path, "--exact", "--lora", `${lora}:0.5`]);
    assert(nmse(changed, exact) < 1e-9);
    const made = await runCli(["quantize", path, merged, "--type", "F32", "--lora", `${lora}:0.5`]);
    assertEquals(made.code, 0, made.stderr);
    assert(nmse(await logits(out, [merged, "--exact"]), exact) < 1e-12);
    const shown = JSON.parse((await runCli(["show", lora, "--json"])).stdout);
    const { kind, arch, alpha, ranks, tensors } = shown;
    assertEquals([kind, arch, alpha, ranks, tensors], ["lora", "llama", 6, [3], 14]);
    const { code, stderr } = await runCli(["run", lora, "hello"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "it is an adapter");
    assertStringIncludes(stderr, "--lora");
    const swapped = await runCli(["plan", path, "--lora", path]);
    assertEquals(swapped.code, 1);
    assertStringIncludes(swapped.stderr, "it is a model");
  }));
