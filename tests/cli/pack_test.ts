/** `pack` as its users run it, and what other verbs make of its files. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openPacked } from "../../src/bundle/mod.ts";
import { readStats } from "../../src/stats/mod.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { runCli, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

const RELU: TinyModelOptions = { architecture: "relu-llama", type: "Q4_0", feedForwardLength: 128 };
const TEXT = "the cat sat on the mat and the dog ran after the cat until both of them slept\n"
  .repeat(20);

Deno.test("pack writes a file beside the model that --check, show and tokenize understand", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/tiny.ganglion`;
    const made = await runCli(["pack", path, "--json"]);
    assertEquals(made.code, 0, made.stderr);
    const { bytes, layers, units, neurons, bundle_bytes, ordered } = JSON.parse(made.stdout);
    assertEquals(bytes, (await Deno.stat(out)).size);
    assertEquals({ layers, units, neurons, bundle_bytes, ordered }, {
      ...{ layers: 2, units: 2, neurons: 256, bundle_bytes: 320, ordered: false },
    });
    const checked = await runCli(["pack", "--check", out, "--json"]);
    assertEquals([checked.code, JSON.parse(checked.stdout)], [0, { bytes, damage: [] }]);
    const shown = JSON.parse((await runCli(["show", out, "--json"])).stdout);
    const plain = JSON.parse((await runCli(["show", path, "--json"])).stdout);
    const own = { file_bytes: 0, memory_bytes: null, packed: null, gpu: null };
    assertEquals({ ...shown, ...own }, { ...plain, ...own });
    const { bundle_bytes: each, align_bytes, ordered: isOrdered } = shown.packed;
    assertEquals({ each, align_bytes, isOrdered }, {
      ...{ each: [320], align_bytes: 64, isOrdered: false },
    });
    const { weights, slots, on_disk } = shown.memory_bytes;
    assertEquals([slots, on_disk], [0, 0]); // it fits
    assert(weights >= 256 * 300 && weights < 2 * plain.memory_bytes.weights, `${weights}`);
    await Deno.writeTextFile(`${folder}/tiny.mmproj.gguf`, "not looked at");
    const small = await runCli(["show", out, "--memory", "100MiB"]);
    assertStringIncludes(small.stdout, "it needs at least");
    assertStringIncludes(small.stdout, "projector     tiny.mmproj.gguf, which cannot be read");
    await Deno.remove(`${folder}/tiny.mmproj.gguf`);
    const ids = ["--text", "the cat sat", "--json"];
    const tokenized = await runCli(["tokenize", out, ...ids]);
    assertEquals(tokenized.stdout, (await runCli(["tokenize", path, ...ids])).stdout);
  }, RELU));

Deno.test("pack --stats puts frequent neurons first in each stripe", () =>
  withTinyModel(async (path, folder) => {
    const [text, stats, out] = [`${folder}/text`, `${folder}/stats`, `${folder}/out`];
    await Deno.writeTextFile(text, TEXT);
    const profiled = await runCli(["profile", path, "--file", text, "--tokens", "64", "-o", stats]);
    assertEquals(profiled.code, 0, profiled.stderr);
    const { code, said } = await runCli(["pack", path, "--stats", stats, "-o", out]);
    assertEquals([code, said], [0, ""]);
    const { counts, units: { 1: tokens } } = readStats(stats);
    for (const { layer, neurons, stripes, order, rates } of openPacked(out).units) {
      assert(rates !== null && stripes > 1);
      const own = counts["1"].subarray(layer * neurons, (layer + 1) * neurons);
      assertEquals(rates, Float32Array.from(order, (neuron) => own[neuron] / tokens));
      assert(rates.some((rate) => rate !== rates[0]));
      for (let position = 1; position < neurons; position++) {
        if (position % (neurons / stripes) === 0) continue;
        assert(rates[position] <= rates[position - 1], `position ${position}`);
      }
    }
  }, RELU));

Deno.test("pack --check tells with status 1 what was changed", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/out`;
    assertEquals((await runCli(["pack", path, "-o", out])).code, 0);
    const { units } = openPacked(out);
    const bytes = await Deno.readFile(out);
    bytes[units[1].offsetBytes] ^= 1;
    await Deno.writeFile(out, bytes);
    const { code, stdout, stderr } = await runCli(["pack", "--check", out]);
    assertEquals(code, 1);
    assertStringIncludes(stdout, "layer 1: neurons at positions 0 to 127");
    assertStringIncludes(stderr, "pack the model again");
    assert(!stderr.includes("    at "), stderr);
  }, RELU));

Deno.test("pack refuses wrong usage with status 2, and what it cannot pack with 1", () =>
  withTinyModel(async (path, folder) => {
    const [other, stats, out] = [`${folder}/other.gguf`, `${folder}/stats`, `${folder}/out`];
    const text = `${folder}/text`;
    await Deno.writeTextFile(text, TEXT);
    await runCli(["quantize", path, other, "--type", "Q5_1"]);
    await runCli(["profile", other, "--file", text, "--tokens", "64", "-o", stats]);
    const files = [...Deno.readDirSync(folder)].length;
    const wrong: [args: string[], code: number, says: string][] = [
      [[], 2, "--out"],
      [[path, "-o", path], 2, "it is the file that is read"],
      [[path, "-o", folder], 2, "no regular file"],
      [[path, "--check", path], 2, "leave one of them out"],
      [[path, "-o", out, "--align-bytes", "1024"], 2, "Allowed choices are 64, 512, 4096"],
      [[path, "-o", out, "--stats", stats], 2, "measured on another model"],
      [[path, "-o", out, "--stats", path], 1, "Cannot read statistics"],
      [[path, "-o", `${folder}/no/such`], 1, "there is no such folder"],
      [[other, "-o", out], 1, "quantize MODEL OUT"],
      [[`${folder}/none.gguf`], 1, "there is no such file"],
      [["--check", path], 1, "does not begin with the bytes GANGLION"],
    ];
    for (const [args, status, says] of wrong) {
      const { code, stdout, stderr } = await runCli(["pack", ...args]);
      assertEquals([code, stdout], [status, ""], `${args}: ${stderr}`);
      assertStringIncludes(stderr, says);
      assert(!stderr.includes("    at "), stderr);
    }
    assertEquals([...Deno.readDirSync(folder)].length, files);
  }, RELU));

Deno.test("profile reads a packed model as the model, and packing by its statistics is the same", () =>
  withTinyModel(async (path, folder) => {
    const [text, packed] = [`${folder}/text`, `${folder}/tiny.ganglion`];
    await Deno.writeTextFile(text, TEXT);
    assertEquals((await runCli(["pack", path, "-o", packed])).code, 0);
    const files: Uint8Array[] = [];
    for (const [model, ...more] of [[path], [packed, "--memory", "2GiB", "--io-threads", "2"]]) {
      const stats = `${folder}/${files.length}.stats`;
      const args = ["--file", text, "-o", stats, "--window", "100", "--threads", "1", "--json"];
      const { code, stdout, stderr } = await runCli(["profile", model, ...args, ...more]);
      assertEquals(code, 0, stderr);
      const { window_tokens, tokens_per_second } = JSON.parse(stdout);
      assertEquals([window_tokens, tokens_per_second > 0], [100, true]);
      files.push(await Deno.readFile(stats));
    }
    assertEquals(files[1], files[0]);
    const again = ["pack", path, "--stats", `${folder}/1.stats`, "-o", `${folder}/again`];
    assertEquals((await runCli(again)).code, 0);
    assert(openPacked(`${folder}/again`).units.every(({ rates }) => rates !== null));

    const profile = ["profile", packed, "--file", text, "-o", `${folder}/x`];
    const small = await runCli([...profile, "--memory", "100MiB"]);
    assertEquals(small.code, 1);
    assertStringIncludes(small.stderr, "it needs at least");
    const long = await runCli([...profile, "--window", "100000"]);
    assertEquals(long.code, 2);
    assertStringIncludes(long.stderr, "is the most");
  }, { ...RELU, contextLength: 256 }));

Deno.test("pack puts a pulled model beside it, and bench finds all that lies in memory there", () =>
  withTinyModel(async (_path, folder) => {
    const env = { GANGLION_MODELS_DIR: folder };
    assertEquals((await runCli(["pack", "tiny"], { env })).code, 0);
    const args = ["--memory", "1GiB", "--prompt-tokens", "2", "--gen-tokens", "2", "--repeat", "1"];
    const packed = `${folder}/tiny.ganglion`;
    const { stdout } = await runCli(["bench", packed, ...args, "--json"], { env });
    const { cache_hit_rate, disk_bytes_per_token } = JSON.parse(stdout);
    assertEquals([cache_hit_rate, disk_bytes_per_token], [1, 0]);
    assertEquals((await runCli(["pack", "built-in"], { env })).code, 2);
  }));
