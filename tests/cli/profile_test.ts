/** `profile` and `verify` as their users run them, and what they give to the other verbs. */
import { existsSync } from "node:fs";
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { readStats } from "../../src/stats/mod.ts";
import { checkXml } from "../bench/check_xml.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { runCli, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

const TEXT = "the cat sat on the mat and the dog ran after the cat until both of them slept\n"
  .repeat(20);
const RELU: TinyModelOptions = { architecture: "relu-llama", seed: 5 };

function withText(
  options: TinyModelOptions,
  test: (files: { model: string; text: string; folder: string }) => Promise<void>,
): Promise<void> {
  return withTinyModel(async (model, folder) => {
    const text = `${folder}/text.txt`;
    await Deno.writeTextFile(text, TEXT);
    await test({ model, text, folder });
  }, options);
}

Deno.test("profile writes statistics, says them as JSON and draws them", () =>
  withText(RELU, async ({ model, text, folder }) => {
    const [out, svg] = [`${folder}/a.stats`, `${folder}/a.svg`];
    const args = ["profile", model, "--file", text, "-o", out, "--svg", svg, "--json"];
    const { code, stdout, stderr } = await runCli(args);
    assertEquals(code, 0, stderr);
    const report = JSON.parse(stdout);
    assertEquals([report.neurons, report.activation, report.layers.length], [96, "relu", 2]);
    for (const layer of report.layers) {
      assert(layer.active_fraction > 0.2 && layer.active_fraction < 0.8);
      const by = layer.active_fraction_by_batch;
      assertEquals(by[1], layer.active_fraction);
      assert(by[1] < by[2] && by[2] < by[3] && by[3] < by[4] && by[4] < by.prefill);
    }
    const stats = readStats(out);
    assertEquals(stats.units["1"], report.tokens);
    assertEquals(stats.groupsDone, stats.subject.groupCount);
    const picture = await Deno.readTextFile(svg);
    checkXml(picture);
    assertStringIncludes(picture, "layer 1");
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
    assertEquals(names, ["a.stats", "a.svg", "text.txt", "tiny.gguf"]);
  }));

Deno.test("profile counts neurons of a mixture whose experts have biases", () =>
  withText({ architecture: "gpt-oss" }, async ({ model, text, folder }) => {
    const out = `${folder}/a.stats`;
    const args = ["profile", model, "--file", text, "-o", out, "--tokens", "256"];
    const { code, stderr } = await runCli(args);
    assertEquals(code, 0, stderr);
    assertEquals(readStats(out).subject.activation, "swiglu7");
  }));

Deno.test("profile without a text counts what the model writes, the same each time", () =>
  withTinyModel(async (model, folder) => {
    const profile = async (name: string, ...more: string[]) => {
      const out = `${folder}/${name}.stats`;
      const { code, stderr } = await runCli(["profile", model, "-o", out, ...more]);
      assertEquals(code, 0, stderr);
      return { bytes: await Deno.readFile(out), stats: readStats(out) };
    };
    const first = await profile("first", "--tokens", "400");
    assertEquals(first.stats.units["1"], 400, "a group of four windows");
    assertEquals((await profile("again", "--tokens", "400")).bytes, first.bytes);
    const other = await profile("other", "--tokens", "256");
    assert(other.stats.subject.textHash !== first.stats.subject.textHash);
  }, RELU));

Deno.test("profile that is interrupted goes on to the same file, and refuses another text's rest", () =>
  withText(RELU, async ({ model, text, folder }) => {
    const [whole, cut] = [`${folder}/whole.stats`, `${folder}/cut.stats`];
    const command = (
      out: string,
      ...more: string[]
    ) => ["profile", model, "--file", text, "-o", out, ...more];
    // Long enough to be interrupted in the middle, late enough for something to be kept: how long
    // and how late depends on the machine, and on what else it does.
    let ended = { code: 0, said: "" };
    for (
      let times = 12, waitMs = 50, tries = 0;
      tries < 20 && !existsSync(`${cut}.part`);
      tries++
    ) {
      await Deno.writeTextFile(text, TEXT.repeat(times));
      await Deno.remove(cut).catch(() => {});
      ended = await interrupted(command(cut), waitMs);
      if (ended.code === 0) times *= 2;
      else waitMs *= 1.5;
    }
    assertEquals(ended.code, 130, ended.said);
    assertEquals((await runCli(command(whole))).code, 0);
    const part = readStats(`${cut}.part`);
    assert(part.groupsDone > 0 && part.groupsDone < part.subject.groupCount);

    const other = await runCli(command(cut, "--tokens", "600"));
    assertEquals(other.code, 2);
    assertStringIncludes(other.stderr, "it is of another model, text or setting");
    const again = await runCli(command(cut));
    assertEquals(again.code, 0, again.stderr);
    assertStringIncludes(again.stderr, `going on after ${part.groupsDone} of`);
    assertEquals(await Deno.readFile(cut), await Deno.readFile(whole));
  }));

/**
 * Runs a command within this process that gets a SIGINT so long after it has begun to listen; it
 * may have ended before. That a signal comes to a process so, and ends it, is shown of `synth` and
 * `train`.
 */
async function interrupted(
  command: string[],
  waitMs: number,
): Promise<{ code: number; said: string }> {
  const { addSignalListener, removeSignalListener } = Deno;
  let timer: ReturnType<typeof setTimeout> | undefined;
  Deno.addSignalListener = (name, listener) => {
    if (name === "SIGINT") timer = setTimeout(listener, waitMs);
  };
  Deno.removeSignalListener = () => clearTimeout(timer);
  try {
    return await runCli(command);
  } finally {
    Object.assign(Deno, { addSignalListener, removeSignalListener });
  }
}

Deno.test("verify finds a model of silent neurons the same with and without them", () =>
  withText(RELU, async ({ model }) => {
    const { code, stdout, stderr } = await runCli(["verify", model, "--tokens", "90", "--json"]);
    assertEquals(code, 0, stderr);
    const report = JSON.parse(stdout);
    assertEquals(Object.keys(report), [
      ...["kl_mean", "kl_max", "top1_agreement", "ppl_dense", "ppl_sparse", "recall", "tokens"],
    ]);
    assert(report.kl_mean < 1e-9 && report.kl_max < 1e-8, stdout);
    assertEquals([report.top1_agreement, report.recall], [1, null]);
    assertAlmostEquals(report.ppl_sparse, report.ppl_dense, 1e-5 * report.ppl_dense);
  }));

Deno.test("--sparsity takes its thresholds from --stats, and says what verify measured", () =>
  withText({ seed: 5 }, async ({ model, text, folder }) => {
    const stats = `${folder}/a.stats`;
    assertEquals((await runCli(["profile", model, "--file", text, "-o", stats])).code, 0);
    const quiet = ["--sparsity", "0.6", "--stats", stats];
    const check = ["verify", model, "--file", text, "--tokens", "300", "--json"];
    const { stdout, stderr } = await runCli([...check, ...quiet, "--record"]);
    const report = JSON.parse(stdout || `"${stderr}"`);
    assert(report.kl_mean > 1e-4, stdout);
    assertStringIncludes(stderr, "what it costs was not measured");

    const env = { GANGLION_SPARSITY: "0.6", GANGLION_STATS: stats };
    const run = await runCli(["run", model, "--raw", "--max-tokens", "3", "the cat"], { env });
    assertEquals(run.code, 0, run.stderr);
    assertStringIncludes(run.stderr, `perplexity ${report.ppl_dense.toFixed(3)} becomes`);

    const bench = ["bench", model, "--repeat", "1", "--prompt-tokens", "8", "--gen-tokens", "8"];
    const { neurons_skipped } = JSON.parse((await runCli([...bench, ...quiet, "--json"])).stdout);
    assert(neurons_skipped > 0.3 * 192 && neurons_skipped < 0.9 * 192, `${neurons_skipped}`);
  }));

Deno.test("profile, verify and --sparsity refuse what they cannot use, without a stack", () =>
  withText({ seed: 5 }, async ({ model, text, folder }) => {
    const short = `${folder}/short.txt`;
    await Deno.writeTextFile(short, "a b");
    const stats = `${folder}/a.stats`;
    assertEquals((await runCli(["profile", model, "--file", text, "-o", stats])).code, 0);
    const torn = `${folder}/torn.stats`;
    await Deno.writeFile(torn, (await Deno.readFile(stats)).subarray(0, 900));
    const other = `${folder}/other.gguf`;
    await Deno.copyFile(model, other);
    const bytes = await Deno.readFile(other);
    bytes[bytes.length - 1] ^= 1;
    await Deno.writeFile(other, bytes);
    const run = (path: string) => ["run", path, "--raw", "x"];
    const wrong: [args: string[], status: number, says: string][] = [
      [["profile", model, "--file", text], 2, "--out"],
      [["profile", model, "--tokens", "15", "-o", `${folder}/x`], 2, "Cannot profile with 15"],
      [["profile", model, "--file", short, "-o", `${folder}/x`], 2, "tokens of text"],
      [["verify", model, "--dense"], 2, "it leaves no neuron out"],
      [["verify", model, "--record"], 2, "--sparsity and --stats"],
      [[...run(model), "--sparsity", "0.5"], 2, "without --stats"],
      [[...run(model), "--sparsity", "1.5"], 2, "from 0 to 0.99"],
      [[...run(model), "--sparsity", "0.5", "--stats", stats, "--dense"], 2, "choose one"],
      [[...run(model), "--sparsity", "0.5", "--stats", model], 1, "no file of firing statistics"],
      [[...run(model), "--sparsity", "0.5", "--stats", torn], 1, "Cannot read statistics"],
      [
        [...run(model), "--sparsity", "0.5", "--stats", `${folder}/none`],
        1,
        "there is no such file",
      ],
      [[...run(other), "--sparsity", "0.5", "--stats", stats], 1, "measured on another model"],
    ];
    for (const [args, status, says] of wrong) {
      const { code, stdout, stderr } = await runCli(args);
      assertEquals([code, stdout], [status, ""], `${args}: ${stderr}`);
      assertStringIncludes(stderr, says);
      assert(!stderr.includes("    at "), stderr);
    }
  }));
