/** The verb as its users run it, on tiny ReLU models with random weights. */
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { assertMatch, assertStringIncludes } from "@std/assert";
import { openGguf, TensorReader, type TypedGgufFile } from "../../src/gguf/mod.ts";
import { loadModel } from "../../src/llm/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { Rng } from "../support/rng.ts";
import { product } from "../train/product.ts";
import { runCli, startCli, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

/** Words that do not exist, the same ones for a seed. */
function madeUpText(letters: number, seed: number): string {
  const rng = new Rng(seed);
  return Array.from({ length: letters }, () => " abcdefghijklm"[rng.int(14)]).join("");
}

const TEXT = madeUpText(4000, 1);
const RELU = { architecture: "relu-llama", type: "F16", seed: 5 } as const;

Deno.test("train writes predictors that find what fires in a text it has not seen", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/out.gguf`;
    const args = ["train", path, "--file", "-", "-o", out, "--tokens", "2500", "--json"];
    const { code, stdout, stderr } = await runCli(args, { stdin: TEXT });
    assertEquals(code, 0, stderr);
    const report = JSON.parse(stdout);
    assertEquals([report.samples, report.bytes], [2500, Deno.statSync(out).size]);
    assertEquals(report.layers.length, 2);
    for (const layer of report.layers) {
      assertGreater(layer.recall, 0.98 - 1e-9);
      assertLess(layer.predicted_share, 0.98);
      assertEquals(layer.tried.some(({ rank }: { rank: number }) => rank === layer.rank), true);
    }
    assertOnlyAdds(openGguf(path), openGguf(out), report);
    const seen = await measureRecall(out, madeUpText(200, 2));
    assertGreater(seen.recall, 0.95);
    assertLess(seen.predictedShare, 0.98);
  }, RELU));

Deno.test("train gives the same file for the same seed, however many passes it takes", () =>
  withTinyModel(async (path, folder) => {
    const file = `${folder}/text`;
    Deno.writeTextFileSync(file, TEXT.slice(0, 400));
    const trained = async (...more: string[]) => {
      const out = `${folder}/out.gguf`;
      const args = ["train", path, "--file", file, "-o", out, "--epochs", "1", "--rank", "32"];
      const { code, said } = await runCli([...args, ...more]);
      assertEquals([code, said], [0, ""]);
      return Deno.readFileSync(out);
    };
    const first = await trained("--threads", "1");
    assertEquals(await trained("--threads", "1", "--memory", "1"), first);
    assert((await trained("--seed", "2", "--threads", "1")).some((byte, i) => byte !== first[i]));
  }, RELU));

Deno.test("train refuses wrong usage with status 2, and what it cannot train with 1", () =>
  withTinyModel(async (path, folder) => {
    const silu = `${folder}/tiny.gguf`;
    const out = `${folder}/out.gguf`;
    const file = `${folder}/text`;
    Deno.writeTextFileSync(file, TEXT.slice(0, 20));
    const wrong: [args: string[], code: number, says: string][] = [
      [[silu, "--file", file, "-o", out], 1, "neurons of silu are never silent"],
      [[silu, "--file", file], 2, "--out"],
      [[silu, "-o", out], 2, "--file"],
      [[silu, "-o", out, "--file", file, "--rank", "33"], 2, "multiple of 32"],
      [[silu, "-o", out, "--file", file, "--type", "Q6_K"], 2, "Allowed choices are F32"],
    ];
    for (const [args, status, says] of wrong) {
      const { code, stdout, stderr } = await runCli(["train", ...args]);
      assertEquals([code, stdout], [status, ""], stderr);
      assertStringIncludes(stderr, says);
      assert(!stderr.includes("    at "), stderr);
    }
    assertEquals(path, silu);
  }));

Deno.test("train refuses a text that is too short, and to replace the model it reads", () =>
  withTinyModel(async (path, folder) => {
    const short = await runCli(["train", path, "--file", "-", "-o", `${folder}/out`], {
      stdin: "abc",
    });
    assertEquals([short.code, short.stdout], [2, ""]);
    assertStringIncludes(short.stderr, "at least 256 are needed");
    const same = await runCli(["train", path, "--file", "-", "-o", path], { stdin: TEXT });
    assertEquals(same.code, 2);
    assertStringIncludes(same.stderr, "it is the file that is read");
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  }, RELU));

Deno.test("train leaves nothing behind when it is interrupted", () =>
  withTinyModel(async (path, folder) => {
    const child = startCli([
      ...["train", path, "--file", "-", "-o", `${folder}/out.gguf`],
      ...["--epochs", "1000", "--rank", "32", "--threads", "1"],
    ]);
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(TEXT));
    await writer.close();
    // The first line of progress comes when the training is under way.
    const reader = child.stderr.getReader();
    let said = "";
    while (!said.includes("rank 32")) {
      const { value, done } = await reader.read();
      assert(!done, said);
      said += new TextDecoder().decode(value);
    }
    reader.releaseLock();
    child.kill("SIGINT");
    const [{ code }] = await Promise.all([
      child.status,
      child.stdout.cancel(),
      child.stderr.cancel(),
    ]);
    assertEquals(code, 130);
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  }, RELU));

Deno.test("train goes on after a crash, to the same file, and not with another text or setting", () =>
  withTinyModel(async (path, folder) => {
    const file = `${folder}/text`;
    Deno.writeTextFileSync(file, TEXT.slice(0, 1200));
    const args = (out: string) => [
      ...["train", path, "--file", file, "-o", out, "--epochs", "40", "--rank", "32"],
      ...["--threads", "1"],
    ];
    const [out, whole] = [`${folder}/out.gguf`, `${folder}/whole.gguf`];
    const child = startCli(args(out));
    const journal = `${out}.part.journal`;
    // The first line says what is trained, the second one that a layer is done.
    while (linesOf(journal) < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    child.kill("SIGKILL");
    await Promise.all([child.status, child.stdout.cancel(), child.stderr.cancel()]);
    const other = await runCli([...args(out), "--recall", "0.9", "--seed", "7"]);
    assertEquals(other.code, 2, other.stderr);
    assertStringIncludes(other.stderr, "it was begun with another --recall, --seed: delete it");
    const again = await runCli(args(out));
    assertEquals(again.code, 0, again.stderr);
    assertMatch(again.said, /going on after [12] of 3 layers/);
    assertEquals((await runCli(args(whole))).code, 0);
    assertEquals(Deno.readFileSync(out), Deno.readFileSync(whole));
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
    assertEquals(names, ["out.gguf", "text", "tiny.gguf", "whole.gguf"]);
  }, { ...RELU, blockCount: 3 }));

function linesOf(path: string): number {
  try {
    return Deno.readTextFileSync(path).split("\n").length - 1;
  } catch {
    return 0;
  }
}

/** Checks that `after` is `before`, bit for bit, with a key and two matrices a layer more. */
function assertOnlyAdds(
  before: TypedGgufFile,
  after: TypedGgufFile,
  report: { layers: { rank: number }[] },
): void {
  using old = TensorReader.open(before);
  using young = TensorReader.open(after);
  assertEquals(after.magic, "GGUF");
  assertEquals(new Map([...before.metadata, ["powerinfer.sparse_threshold", 0]]), after.metadata);
  const added = report.layers.flatMap((_, layer) => [`blk.${layer}.fc1`, `blk.${layer}.fc2`]);
  assertEquals(
    [...after.tensors.keys()],
    [...before.tensors.keys(), ...added.map((name) => `${name}.weight`)],
  );
  for (const [name, tensor] of before.tensors) {
    const copy = after.tensors.get(name)!;
    assertEquals([copy.type, copy.dims], [tensor.type, tensor.dims]);
    assertEquals(young.readAll(copy), old.readAll(tensor), name);
  }
  report.layers.forEach(({ rank }, layer) => {
    assertEquals(after.tensors.get(`blk.${layer}.fc1.weight`)?.dims, [64, rank]);
    assertEquals(after.tensors.get(`blk.${layer}.fc2.weight`)?.dims, [rank, 96]);
  });
}

/** What a file's predictors say, by their formula, of what its neurons do in a text. */
async function measureRecall(path: string, text: string) {
  const file = openGguf(path);
  using reader = TensorReader.open(file);
  const weights = (name: string) => {
    const tensor = file.tensors.get(name)!;
    return dequantize(tensor.type, reader.readAll(tensor));
  };
  const model = await loadModel(path, {
    threads: 1,
    observe: ["fired", "residual"],
    predictor: "off",
  });
  let fires = 0, found = 0, predicted = 0, all = 0;
  try {
    const ids = model.encodePrompt(text);
    for await (const { layer, tokens, residual, fired } of model.observe(ids)) {
      const fc1 = weights(`blk.${layer}.fc1.weight`);
      const fc2 = weights(`blk.${layer}.fc2.weight`);
      for (let t = 0; t < tokens; t++) {
        const x = residual.subarray(64 * t, 64 * (t + 1));
        const scores = product(fc2, product(fc1, x).map((value) => Math.max(0, value)));
        scores.forEach((score, j) => {
          const isFired = fired[96 * t + j];
          all++;
          fires += isFired;
          predicted += score >= 0 ? 1 : 0;
          found += score >= 0 ? isFired : 0;
        });
      }
    }
  } finally {
    await model.close();
  }
  return { recall: found / fires, predictedShare: predicted / all };
}
