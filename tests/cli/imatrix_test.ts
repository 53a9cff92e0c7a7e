import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLess,
  assertStringIncludes,
} from "@std/assert";
import { existsSync } from "node:fs";
import { LineJournal } from "../../src/base/line_journal.ts";
import { sourceFingerprint } from "../../src/bundle/mod.ts";
import { begunSums, subjectOf } from "../../src/cli/imatrix/begun_sums.ts";
import { getNumber, getString, getStrings, openGguf } from "../../src/gguf/mod.ts";
import { openForUse } from "../../src/llm/mod.ts";
import { openImportance, writeImportance } from "../../src/quantize/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import { runCli, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

const TEXT = "the cat sat on the mat and the dog ran after the cat until both of them slept\n"
  .repeat(3);
const CTX = 24;

/** llama.cpp's windows: BOS, then ids. */
function windowsOf(path: string): number[][] {
  const tokenizer = createTokenizer(openGguf(path).metadata);
  assert(tokenizer.addBos && tokenizer.bosId !== null);
  const ids = [tokenizer.bosId, ...tokenizer.encode(TEXT)];
  return Array.from({ length: Math.floor(ids.length / CTX) }, (_, index) => {
    return [tokenizer.bosId!, ...ids.slice(index * CTX + 1, (index + 1) * CTX)];
  });
}

/** Σ of squares of what a matrix reads in all windows, by the reference. */
function squaresOf(path: string, name: string): Float64Array {
  const file = openGguf(path);
  const squares = new Float64Array(file.tensors.get(name)!.dims[0]);
  const onProduct = ({ tensor }: { tensor: string }, x: ArrayLike<number>) => {
    if (tensor !== name) return;
    for (let i = 0; i < x.length; i++) squares[i % squares.length] += x[i] ** 2;
  };
  for (const window of windowsOf(path)) new ReferenceModel(file, { onProduct }).forward(window);
  return squares;
}

function assertNear(own: ArrayLike<number>, exact: ArrayLike<number>, most: number): void {
  assertEquals(own.length, exact.length);
  Array.from(own, (sum, i) => assertAlmostEquals(sum, exact[i], most * exact[i]));
}

Deno.test("show says what an importance matrix was measured on, run that it is no model", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/imatrix.gguf`;
    const sums = { name: "blk.0.attn_q.weight", columns: 2, squares: [1, 4], counts: [3] };
    const text = { datasets: ["a/text.txt"], chunkCount: 5, chunkSize: 64 };
    const bytes = await writeImportance(path, [sums], text);
    const { stdout } = await runCli(["show", path, "--json"]);
    assertEquals(JSON.parse(stdout), {
      ...{ kind: "imatrix", matrices: 1, datasets: text.datasets, windows: 5, window_tokens: 64 },
      file_bytes: bytes,
    });
    const lines = (await runCli(["show", path])).stdout;
    assertStringIncludes(lines, '"text.txt"');
    assertStringIncludes(lines, "5 of 64 tokens");
    const { code, stderr } = await runCli(["run", path, "hi"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "it is an importance matrix");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("imatrix writes llama.cpp's form, of all windows of a text, and quantize rounds by it", () =>
  withTinyModel(async (path, folder) => {
    const [file, out] = [`${folder}/text.txt`, `${folder}/imatrix.gguf`];
    await Deno.writeTextFile(file, TEXT);
    const args = ["imatrix", path, "--file", file, "-o", out, "--ctx", `${CTX}`];
    const { code, stdout, stderr } = await runCli([...args, "--json"]);
    assertEquals(code, 0, stderr);
    const report = JSON.parse(stdout);
    assertEquals(report.unseen, ["token_embd.weight", "output.weight"]);
    assertEquals(report.idle_experts, 0);
    const { size } = await Deno.stat(out);
    assertEquals(report.bytes, size);
    const { metadata, tensors } = openGguf(out);
    const windows = windowsOf(path);
    assert(windows.length > 2);
    assertEquals([...metadata.keys()], [
      ...["general.type", "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"],
    ]);
    assertEquals(getString(metadata, "general.type"), "imatrix");
    assertEquals([...getStrings(metadata, "imatrix.datasets")], ["text.txt"]);
    assertEquals(getNumber(metadata, "imatrix.chunk_count"), windows.length);
    assertEquals(getNumber(metadata, "imatrix.chunk_size"), CTX);
    assertEquals(tensors.get("blk.1.ffn_down.weight.in_sum2")!.dims, [96, 1]);
    assertEquals(tensors.get("blk.1.ffn_down.weight.counts")!.dims, [1, 1]);
    assertEquals(tensors.size, 2 * report.matrices);
    const { sums } = openImportance(out);
    for (const kind of ["attn_v", "attn_output", "ffn_down"]) {
      const name = `blk.1.${kind}.weight`;
      assertEquals([...sums.get(name)!.counts], [windows.length * CTX]);
      assertNear(sums.get(name)!.squares, squaresOf(path, name), 1e-5);
    }
    const q4 = ["quantize", path, `${folder}/q4.gguf`, "--type", "q4_0", "--imatrix", out];
    const { said } = await runCli(q4);
    assertStringIncludes(said, "token_embd.weight and 1 more: the importance matrix does not");
    // What the output reads, too; and fewer windows, from stdin.
    const more = ["imatrix", path, "--file", "-", "-o", out, "--ctx", "8", "--windows", "2"];
    const both = await runCli([...more, "--process-output"], { stdin: TEXT });
    assertEquals(both.code, 0, both.stderr);
    assertStringIncludes(both.stderr, "note: token_embd.weight: no product with it was seen");
    const { sums: all, text } = openImportance(out);
    assertEquals([...all.get("output.weight")!.counts], [16]);
    assertEquals(text, { datasets: ["stdin"], chunkCount: 2 });
  }, { type: "F16" }));

Deno.test("imatrix counts the tokens that chose an expert, and says how many chose none", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/imatrix.gguf`;
    const args = ["imatrix", path, "--file", "-", "-o", out, "--ctx", "4", "--windows", "1"];
    const { code, said, stderr } = await runCli(args, { stdin: TEXT });
    assertEquals(code, 0, stderr);
    const { sums } = openImportance(out);
    const { tensors } = openGguf(out);
    assertEquals(tensors.get("blk.0.ffn_down_exps.weight.in_sum2")!.dims, [32, 8]);
    assertEquals(tensors.get("blk.0.ffn_down_exps.weight.counts")!.dims, [1, 8]);
    const { counts } = sums.get("blk.0.ffn_down_exps.weight")!;
    assertEquals(counts.length, 8);
    assertEquals(counts.reduce((sum, count) => sum + count), 3 * 4, "three of them a token");
    const idle = [...sums.values()].flatMap(({ counts }) => [...counts]).filter((each) =>
      each === 0
    );
    assert(idle.length > 0);
    assertStringIncludes(said, `no token of the text chose ${idle.length} matrices of experts`);
  }, { architecture: "qwen3moe" }));

Deno.test("imatrix goes on with what an interrupted run of the same left", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/imatrix.gguf`, part = `${out}.part`;
    const args = ["imatrix", path, "--file", "-", "-o", out, "--ctx", `${CTX}`];
    const run = (more: readonly string[] = []) => runCli([...args, ...more], { stdin: TEXT });
    assertEquals((await run()).code, 0);
    const whole = openImportance(out);
    assertEquals((await run(["--windows", "2"])).code, 0);
    const first = openImportance(out);
    const windows = windowsOf(path);
    const subject = subjectOf([sourceFingerprint(openForUse(path)), windows, false]);
    const sums = [...first.sums].map(([name, { squares, counts }]) => (
      { name, squares, counts, columns: squares.length }
    ));
    await writeImportance(part, sums, { datasets: [], chunkCount: 2, chunkSize: CTX, subject });
    await Deno.remove(out);
    const { code, stderr } = await run();
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, `going on after 2 of ${windows.length} windows`);
    const together = openImportance(out);
    assertEquals(together.text.chunkCount, windows.length);
    for (const [name, { squares, counts }] of whole.sums) {
      assertEquals(together.sums.get(name)!.counts, counts);
      assertNear(together.sums.get(name)!.squares, squares, 1e-6);
    }
    assertEquals([...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith("part")), []);
    // All of it is there, but for the end.
    await writeImportance(part, sums, {
      ...{ datasets: [], chunkCount: windows.length, chunkSize: CTX, subject },
    });
    assertEquals(begunSums(part, subject).windows, windows.length);
    assertEquals((await run()).code, 0);
    assertEquals(openImportance(out).sums.get(sums[0].name)!.squares, sums[0].squares);
    await writeImportance(part, sums, { datasets: [], chunkCount: 2, chunkSize: CTX, subject });
    const other = await run(["--process-output"]);
    assertEquals(other.code, 2);
    assertStringIncludes(other.stderr, "it is of another model, text or setting");
  }));

Deno.test("imatrix refuses an OUT that another run writes, and leaves that alone", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/imatrix.gguf`, part = `${out}.part`;
    const run = () =>
      runCli(["imatrix", path, "--file", "-", "-o", out, "--ctx", `${CTX}`], { stdin: TEXT });
    await Deno.writeTextFile(out, "done before");
    await Deno.writeTextFile(part, "begun by the other run");
    const other = LineJournal.open(`${part}.journal`);
    assert(other !== null);
    try {
      const { code, stdout, stderr } = await run();
      assertEquals([code, stdout], [1, ""], stderr);
      assertStringIncludes(stderr, "another program is writing it");
      assertStringIncludes(stderr, out);
      assertEquals(await Deno.readTextFile(out), "done before");
      assertEquals(await Deno.readTextFile(part), "begun by the other run");
    } finally {
      other.close();
    }
    // A journal that nobody holds was left by a run that was killed.
    await Deno.remove(part);
    assert(existsSync(`${part}.journal`));
    const { code, stderr } = await run();
    assertEquals(code, 0, stderr);
    assert(openImportance(out).sums.size > 0);
    assert(!existsSync(`${part}.journal`));
  }));

Deno.test("imatrix refuses what it cannot measure, without a stack", () =>
  withTinyModel(async (path, folder) => {
    const [short, out] = [`${folder}/short.txt`, `${folder}/out.gguf`];
    await Deno.writeTextFile(short, "a b");
    const wrong: [args: string[], status: number, says: string][] = [
      [[path, "-o", out], 2, "--file"],
      [[path, "--file", short], 2, "--out"],
      [[path, "--file", short, "-o", out], 2, "Cannot fill a window of 512 tokens"],
      [[path, "--file", short, "-o", out, "--ctx", "0"], 2, "A whole number of at least 1"],
      [[path, "--file", `${folder}/none`, "-o", out], 1, "there is no such file"],
      [[path, "--file", short, "-o", `${folder}/no/out.gguf`], 1, "there is no such folder"],
      [[short, "--file", short, "-o", out], 1, "Cannot"],
    ];
    for (const [args, status, says] of wrong) {
      const { code, stdout, stderr } = await runCli(["imatrix", ...args]);
      assertEquals([code, stdout], [status, ""], `${args}: ${stderr}`);
      assertStringIncludes(stderr, says);
      assert(!stderr.includes("    at "), stderr);
    }
    const packed = `${folder}/model.ganglion`;
    assertEquals((await runCli(["pack", path, "-o", packed])).code, 0);
    const { code, stderr } = await runCli(["imatrix", packed, "--file", short, "-o", out]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "name the .gguf file that it was packed from");
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assert(!left.some((name) => name.startsWith("out.gguf")), `${left}`);
  }));

Deno.test("imatrix keeps what is done as time goes by, all of it, and takes it up again", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/imatrix.gguf`, part = `${out}.part`;
    const args = ["imatrix", path, "--file", "-", "-o", out, "--ctx", `${CTX}`];
    const run = () => runCli(args, { stdin: TEXT });
    assertEquals((await run()).code, 0);
    const whole = openImportance(out);
    await Deno.remove(out);
    const count = windowsOf(path).length;
    const done = () => existsSync(part) ? openImportance(part).text.chunkCount : 0;
    for (const before of [0, 1]) {
      // A minute passes whenever somebody looks, until a window is kept: then the end has no place.
      const now = performance.now;
      let minutes = 0;
      performance.now = () => 60_000 * (done() === before ? ++minutes : minutes);
      const looking = setInterval(() => {
        if (done() > before && !existsSync(out)) Deno.mkdirSync(out);
      });
      try {
        const { code, stderr } = await run();
        assertEquals(code, 1, stderr);
      } finally {
        clearInterval(looking);
        performance.now = now;
      }
      assertEquals(done(), before + 1);
      await Deno.remove(out);
    }
    const { code, stderr } = await run();
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, `going on after 2 of ${count} windows`);
    for (const [name, { squares, counts }] of whole.sums) {
      assertEquals(openImportance(out).sums.get(name)!.counts, counts);
      assertNear(openImportance(out).sums.get(name)!.squares, squares, 1e-6);
    }
  }));

Deno.test("imatrix replaces nothing that it reads, and goes on with nothing else", () =>
  withTinyModel(async (path, folder) => {
    const file = `${folder}/text.txt`, out = `${folder}/out.gguf`, part = `${out}.part`;
    await Deno.writeTextFile(file, TEXT);
    const refused = async (args: readonly string[], says: string) => {
      const { code, stderr } = await runCli(["imatrix", ...args, "--ctx", `${CTX}`]);
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, says);
    };
    const model = await Deno.readFile(path);
    await refused([path, "--file", file, "-o", path], "it is the file that is read");
    await refused([path, "--file", file, "-o", file], "it is the file that is read");
    await refused([path, "--file", file, "-o", "/dev/null"], "it is no regular file");
    assertEquals([await Deno.readFile(path), await Deno.readTextFile(file)], [model, TEXT]);
    await Deno.rename(path, part);
    await refused([part, "--file", file, "-o", out], "it is the file that is read");
    await Deno.rename(part, path);
    await Deno.mkdir(part);
    await refused([path, "--file", file, "-o", out], `${part}": it is no regular file`);
    await Deno.remove(part);
    for (const bytes of [new Uint8Array(), new TextEncoder().encode("hello"), model]) {
      await Deno.writeFile(part, bytes);
      await refused([path, "--file", file, "-o", out], `Cannot go on with "${part}"`);
      assertEquals(await Deno.readFile(part), bytes);
    }
  }));

Deno.test("imatrix writes no sums that are no numbers", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/out.gguf`;
    const { offsetBytes } = openGguf(path).tensors.get("blk.1.ffn_norm.weight")!;
    const model = await Deno.readFile(path);
    for (const weight of [NaN, 1e30]) {
      new DataView(model.buffer).setFloat32(offsetBytes, weight, true);
      await Deno.writeFile(path, model);
      const args = ["imatrix", path, "--file", "-", "-o", out, "--ctx", `${CTX}`];
      const { code, stderr } = await runCli(args, { stdin: TEXT });
      assertEquals(code, 1, stderr);
      assertStringIncludes(stderr, 'what "blk.1.ffn_');
    }
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["tiny.gguf"]);
  }));

sharedTest(
  "models/stories260K-f32.gguf",
  "imatrix of a real model and text is what llama-imatrix measures",
  async () => {
    // llama-imatrix -c 512 -b 512 --chunks 20 (v0.5.0): a matrix' sum, and its first column's.
    const theirs: Readonly<Record<string, readonly [sum: number, first: number]>> = {
      "blk.0.attn_q.weight": [840834.83, 4329.383],
      "blk.0.attn_output.weight": [56405.73, 954.519],
      "blk.0.ffn_up.weight": [199825.536, 2215.293],
      "blk.0.ffn_down.weight": [69959.104, 280.3356],
      "blk.4.attn_k.weight": [945885.694, 8863.534],
      "blk.4.attn_output.weight": [76479.25, 900.8977],
      "blk.4.ffn_gate.weight": [602534.951, 5600.346],
      "blk.4.ffn_down.weight": [562837.6, 1932.6326],
    };
    const out = await Deno.makeTempFile({ suffix: ".gguf" });
    try {
      const args = ["--file", sharedPath("text/tinystories-197k.txt"), "-o", out];
      const model = sharedPath("models/stories260K-f32.gguf");
      const { code, stderr } = await runCli(["imatrix", model, ...args, "--windows", "20"]);
      assertEquals(code, 0, stderr);
      const { sums } = openImportance(out);
      assertEquals(sums.size, 35);
      for (const [name, [sum, first]] of Object.entries(theirs)) {
        const { squares, counts } = sums.get(name)!;
        assertEquals([...counts], [10240]);
        // It computes attention over keys and values of 16 bits.
        const own = squares.reduce((all, each) => all + each, 0);
        assertLess(Math.abs(own - sum), 5e-4 * sum, name);
        assertLess(Math.abs(squares[0] - first), 1e-3 * first, name);
      }
    } finally {
      await Deno.remove(out);
    }
  },
);
