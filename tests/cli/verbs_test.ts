import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "node:fs";
import { doctorVerb } from "../../src/cli/verbs/doctor.ts";
import { u32 } from "../../src/gguf/mod.ts";
import { nmse } from "../support/compare.ts";
import { LITTLE } from "../support/measure_little.ts";
import { type CliInput, runCli, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

/** Runs a verb that must succeed, and parses all of its stdout as one JSON document. */
async function runJson(args: readonly string[], input?: CliInput) {
  const { code, stdout, stderr } = await runCli(args, input);
  assertEquals(code, 0, stderr);
  return JSON.parse(stdout);
}

Deno.test("tokenize takes --text and --file byte for byte, and detokenize gives it back", () =>
  withTinyModel(async (path, folder) => {
    const text = "\uFEFF Once  upon\r\n--a \u{1F600} time\n";
    const file = `${folder}/text.txt`;
    await Deno.writeTextFile(file, text);
    const { ids } = await runJson(["tokenize", path, "--text", text, "--json"]);
    assert(ids.length > 0);
    assertEquals(await runJson(["tokenize", path, "--file", file, "--json"]), { ids });
    const back = await runJson(["detokenize", path, "--ids", ids.join(), "--json"]);
    assertEquals(back, { text });
  }));

Deno.test("tokenize reads - as stdin and prints ids that --ids reads", () =>
  withTinyModel(async (path) => {
    const { stdout } = await runCli(["tokenize", path, "--file", "-"], { stdin: "abc" });
    assertMatch(stdout, /^\d+(,\d+)*\n$/);
    assertEquals(
      (await runJson(["tokenize", path, "--text", "abc", "--json"])).ids.join(),
      stdout.trim(),
    );
  }));

Deno.test("tokenize takes the flag's text before the environment's, and tells what is no UTF-8", () =>
  withTinyModel(async (path, folder) => {
    const given = await runCli(["tokenize", path, "--text", "a"]);
    const env = { GANGLION_FILE: "/nowhere" };
    assertEquals((await runCli(["tokenize", path, "--text", "a"], { env })).stdout, given.stdout);
    await Deno.writeFile(`${folder}/text`, Uint8Array.of(97, 255));
    const { code, stderr } = await runCli(["tokenize", path, "--file", `${folder}/text`]);
    assertEquals(code, 0);
    assertStringIncludes(stderr, `"${folder}/text" is not UTF-8 everywhere`);
    assertEquals(given.stderr, "");
    const piped = await runCli(["tokenize", path, "--file", "/dev/stdin"], { stdin: "a" });
    assertEquals([piped.stdout, piped.stderr], [given.stdout, ""]);
  }));

Deno.test("tokenize takes a text that looks like a flag", () =>
  withTinyModel(async (path) => {
    const { ids } = await runJson(["tokenize", path, "--text", "--version", "--json"]);
    const back = await runJson(["detokenize", path, "--ids", ids.join(), "--json"]);
    assertEquals(back, { text: "--version" });
  }));

Deno.test("show --json tells what the file is and what running it takes", () =>
  withTinyModel(async (path) => {
    const report = await runJson(["show", path, "--json", "--ctx-size", "64", "--threads", "1"]);
    assertEquals(report.arch, "llama");
    assertEquals([report.layers, report.context, report.quant], [2, 256, "F32"]);
    assertEquals([report.sparse, report.ctx_size], [false, 64]);
    assertEquals(report.file_bytes, (await Deno.stat(path)).size);
    const { weights, kv, activations, total } = report.memory_bytes;
    assertEquals(total, weights + kv + activations);
    const { intermediates, intermediates_apart } = report.memory_bytes;
    assert(intermediates <= activations && intermediates < 0.8 * intermediates_apart);
    assert(report.parameters > 50_000 && weights >= report.parameters * 4);
  }));

// fault 19: a flag says whether every weight is a number.
Deno.test("show --check-tensors says that all weights are numbers, or which one is not", () =>
  withTinyModel(async (path) => {
    const report = await runJson(["show", path, "--json", "--check-tensors"]);
    assert(report.checked.tensors > 10 && report.checked.skipped.length === 0);
    const bytes = await Deno.readFile(path);
    bytes.fill(0xff, -8);
    await Deno.writeFile(path, bytes);
    assertEquals((await runJson(["show", path, "--json"])).checked, null);
    const { code, stderr } = await runCli(["show", path, "--check-tensors"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "a weight of it is NaN");
  }));

Deno.test("logits writes [tokens, vocab] floats, the same from the engine and the reference", () =>
  withTinyModel(async (path, folder) => {
    const args = ["logits", path, "--tokens", "1,7,300", "--json"];
    const fast = `${folder}/fast.bin`;
    const exact = `${folder}/exact.bin`;
    const size = { n_tokens: 3, n_vocab: 512 };
    assertEquals(await runJson([...args, "--out", fast]), size);
    assertEquals(await runJson([...args, "--out", exact, "--exact"]), size);
    const read = async (file: string) => new Float32Array((await Deno.readFile(file)).buffer);
    const [a, b] = [await read(fast), await read(exact)];
    assertEquals([a.length, b.length], [3 * 512, 3 * 512]);
    assert(a.every((value, index) => Math.abs(value - b[index]) < 1e-3));
    assert(a.some((value) => Math.abs(value) > 0.1), "logits are not all zero");
  }));

Deno.test("logits and its reference take the same rotary factors, however few the ids are", () =>
  withTinyModel(async (path, folder) => {
    const read = async (name: string, args: readonly string[]) => {
      const out = `${folder}/${name}`;
      await runJson(["logits", path, "--tokens", "1,7,300", "--json", "--out", out, ...args]);
      return new Float32Array((await Deno.readFile(out)).buffer);
    };
    const long = await read("long", ["--ctx-size", "256", "--exact"]);
    const short = await read("short", ["--ctx-size", "128", "--exact"]);
    assert(nmse(long, short) > 1e-6, "both kinds of factors show");
    for (const args of [[], ["--exact"]]) assertLess(nmse(await read("own", args), long), 1e-10);
    assertLess(nmse(await read("fast", ["--ctx-size", "128"]), short), 1e-10);
  }, {
    architecture: "phi3",
    metadata: [["phi3.rope.scaling.original_context_length", u32(128)]],
  }));

Deno.test("logits refuses ids that the model does not have, without a stack or a file", () =>
  withTinyModel(async (path, folder) => {
    for (const exact of [[], ["--exact"]]) {
      const args = ["logits", path, "--out", `${folder}/x`, ...exact];
      const { code, stderr } = await runCli([...args, "--tokens", "512"]);
      assert(code !== 0);
      assertStringIncludes(stderr, "512");
      assert(!stderr.includes("    at "), stderr);
      assert(!existsSync(`${folder}/x`));
    }
  }));

Deno.test("run --json is reproducible with a seed, and streams the same text without --json", () =>
  withTinyModel(async (path) => {
    const args = ["run", path, "Hello", "--seed", "5", "--max-tokens", "12"];
    const first = await runJson([...args, "--json"]);
    const second = await runJson([...args, "--json"]);
    assertEquals([second.text, second.ids], [first.text, first.ids]);
    assert(first.ids.length <= 12);
    assertMatch(first.finish_reason, /^(stop|length)$/);
    assertEquals(first.timings.predicted_n, first.ids.length);
    assert(first.timings.prompt_n > 0);
    assertEquals((await runCli(args)).stdout, `${first.text}\n`);
  }));

Deno.test("run without a PROMPT answers each line of stdin until /bye", () =>
  withTinyModel(async (path) => {
    const stdin = "one\n\n/bye\nnot reached\n";
    const args = ["run", path, "--temperature", "0", "--max-tokens", "4"];
    const { code, stdout } = await runCli(args, { stdin });
    assertEquals(code, 0);
    const single = await runJson([...args.slice(0, 2), "one", ...args.slice(2), "--json"]);
    assertEquals(stdout, `${single.text}\n`);
  }));

Deno.test("run takes the model from GANGLION_MODEL, and flags from their twins", () =>
  withTinyModel(async (path) => {
    const env = {
      GANGLION_MODEL: path,
      GANGLION_MAX_TOKENS: "3",
      GANGLION_TEMPERATURE: "0",
    };
    const { code, stdout } = await runCli(["run"], { env, stdin: "one" });
    assertEquals(code, 0);
    const args = ["run", path, "one", "--json", "--max-tokens", "3", "--temperature", "0"];
    assertEquals(stdout, `${(await runJson(args)).text}\n`);
  }));

Deno.test("bench guesses ahead when it is told to, and finds the same ids", () =>
  withTinyModel(async (path) => {
    const size = ["--prompt-tokens", "20", "--gen-tokens", "10", "--repeat", "1", "--threads", "1"];
    const plain = await runJson(["bench", path, "--json", ...size]);
    assertEquals(plain.draft_n, 0);
    const flags = ["--speculate", "3", "--draft-model", path];
    const guessed = await runJson(["bench", path, "--json", ...size, ...flags]);
    assertEquals(guessed.ids_hash, plain.ids_hash);
    assert(guessed.draft_n_accepted > 4, `${guessed.draft_n_accepted} of ${guessed.draft_n}`);
    const { code, stderr } = await runCli(["bench", path, "--speculate", "sometimes"]);
    assertEquals(code, 2, stderr);
  }));

Deno.test("bench --json has every field of the contract", () =>
  withTinyModel(async (path) => {
    const size = ["--prompt-tokens", "20", "--gen-tokens", "10", "--repeat", "2"];
    const report = await runJson(["bench", path, "--json", "--threads", "1", ...size]);
    assertEquals(Object.keys(report).toSorted(), [
      "bytes_per_token",
      "cache_hit_rate",
      "decode_tps",
      "disk_bytes_per_token",
      "disk_reads_per_token",
      "disk_wait_ms",
      "draft_n",
      "draft_n_accepted",
      "expected_decode_tps",
      "flags",
      "gpu",
      "ids_hash",
      "memory_bytes",
      "model",
      "neurons_asked_ahead",
      "neurons_needed_ahead",
      "neurons_skipped",
      "peak_read_gbps",
      "prefill_tps",
      "threads",
      "token_ms",
      "weights_gbps",
    ]);
    assertEquals([report.model, report.threads], [path, 1]);
    for (const { min, median, max } of [report.prefill_tps, report.decode_tps]) {
      assert(0 < min && min <= median && median <= max);
    }
    assert(report.bytes_per_token > 0 && report.peak_read_gbps > 0 && report.weights_gbps > 0);
    assertMatch(report.ids_hash, /^[0-9a-f]{64}$/);
    const again = await runJson(["bench", path, "--json", "--threads", "2", ...size]);
    assertEquals(again.ids_hash, report.ids_hash);
  }));

Deno.test("bench refuses a --memory that the model does not fit into", () =>
  withTinyModel(async (path) => {
    const { code, stderr } = await runCli(["bench", path, "--memory", "1KiB"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "in 1.0 KiB");
    assertStringIncludes(stderr, "ganglion pack");
  }));

Deno.test("doctor --json tells cores, WASM features, flags, memory, disk and GPU", async () => {
  const cache = await Deno.makeTempDir();
  const env = { DENO_V8_FLAGS: "--no-wasm-bounds-checks", GANGLION_CACHE: cache };
  const run = async (args: readonly string[]) => {
    await doctorVerb(LITTLE).parseAsync(args, { from: "user" });
    return 0;
  };
  const report = await runJson(["--json"], { env, run });
  assertEquals(report.profile, `${cache}/machine.json`);
  const kept = JSON.parse(await Deno.readTextFile(report.profile));
  assertEquals(kept.readGBps, report.memory.read_gbps_by_threads);
  await Deno.remove(cache, { recursive: true });
  assertEquals(report.flags, ["--no-wasm-bounds-checks"]);
  assertEquals(report.missing_flags, ["--experimental-wasm-revectorize"]);
  assertEquals(report.cores, navigator.hardwareConcurrency);
  assertEquals([report.wasm.simd, report.wasm.threads], [true, true]);
  assert(report.memory.total_bytes > report.memory.available_bytes);
  const threads = report.disk.random.map(({ workers }: { workers: number }) => workers);
  assertEquals(threads.slice(0, 4), LITTLE.disk.workers);
  assert(report.disk.sequential_read_gbps > 0 && report.disk.random_reads_per_second > 0);
  assertEquals(typeof report.gpu.available, "boolean");
});
