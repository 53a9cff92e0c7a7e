import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { negativeLogProbability } from "../../src/engine/log_probability.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import { runCli, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

const TEXT = "the cat sat on the mat and the dog ran after the cat until both of them slept\n"
  .repeat(3);

Deno.test("perplexity --json is what the reference says of each window's second half", () =>
  withTinyModel(async (path, folder) => {
    const file = `${folder}/text.txt`;
    await Deno.writeTextFile(file, TEXT);
    for (const ctx of [16, 21]) {
      const args = ["perplexity", path, "--file", file, "--ctx", `${ctx}`, "--json"];
      const { code, stdout, stderr } = await runCli(args);
      assertEquals(code, 0, stderr);
      const report = JSON.parse(stdout);
      assertEquals(Object.keys(report).toSorted(), ["nll", "ppl", "tokens"]);
      const expected = referenceScore(path, ctx);
      assertEquals(report.tokens, expected.tokens);
      assertAlmostEquals(report.nll, expected.nll, 1e-4 * expected.nll);
      assertAlmostEquals(report.ppl, Math.exp(report.nll / report.tokens), 1e-9 * report.ppl);
    }
  }));

/** llama.cpp's rule, window by window: BOS, then ids; those behind ctx / 2 are predicted. */
function referenceScore(path: string, ctx: number): { nll: number; tokens: number } {
  const gguf = openGguf(path);
  const tokenizer = createTokenizer(gguf.metadata);
  assert(tokenizer.addBos && tokenizer.bosId !== null);
  const ids = [tokenizer.bosId, ...tokenizer.encode(TEXT)];
  let nll = 0;
  let tokens = 0;
  for (let begin = 0; begin + ctx <= ids.length; begin += ctx) {
    const window = [tokenizer.bosId, ...ids.slice(begin + 1, begin + ctx)];
    const model = new ReferenceModel(gguf);
    const logits = model.forward(window);
    const { vocabSize } = model.config;
    for (let position = Math.floor(ctx / 2); position < ctx - 1; position++) {
      const row = logits.subarray(position * vocabSize, (position + 1) * vocabSize);
      nll += negativeLogProbability(row, window[position + 1]);
      tokens++;
    }
  }
  assert(tokens > ctx, "several windows");
  return { nll, tokens };
}

Deno.test("perplexity prints a line, takes stdin, and stops after --windows", () =>
  withTinyModel(async (path) => {
    const args = ["perplexity", path, "--file", "-", "--ctx", "8", "--windows", "2"];
    const { code, stdout, stderr } = await runCli(args, { stdin: TEXT });
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "over 6 tokens in 2 windows");
  }));

Deno.test("perplexity refuses what it cannot score, without a stack", () =>
  withTinyModel(async (path, folder) => {
    const short = `${folder}/short.txt`;
    await Deno.writeTextFile(short, "a b");
    const wrong: [args: string[], status: number, says: string][] = [
      [[path], 2, "--file"],
      [[path, "--file", short], 2, "Cannot fill a window of 512 tokens"],
      [[path, "--file", short, "--ctx", "3"], 2, "A whole number of at least 4"],
      [[path, "--file", short, "--ctx", "8", "--ctx-size", "6"], 2, "--ctx-size 6"],
      [[path, "--file", `${folder}/none`], 1, "there is no such file"],
      [[short, "--file", short], 1, "Cannot"],
    ];
    for (const [args, status, says] of wrong) {
      const { code, stdout, stderr } = await runCli(["perplexity", ...args]);
      assertEquals([code, stdout], [status, ""], `${args}: ${stderr}`);
      assertStringIncludes(stderr, says);
      assert(!stderr.includes("    at "), stderr);
    }
  }));

sharedTest(
  "models/stories260K-f32.gguf",
  "perplexity of a real model and text is what llama.cpp measures",
  async () => {
    // llama-perplexity -c 128 -b 128 --chunks 10 (commit de3ff81) printed 4.4734 behind window 10.
    const text = sharedPath("text/tinystories-197k.txt");
    const size = ["--ctx", "128", "--windows", "10", "--json"];
    const model = sharedPath("models/stories260K-f32.gguf");
    const { stdout, stderr } = await runCli(["perplexity", model, "--file", text, ...size]);
    const { ppl, tokens } = JSON.parse(stdout || `"${stderr}"`);
    assertAlmostEquals(ppl, 4.4734, 4.4734 * 0.0005);
    assertEquals(tokens, 630);
  },
);
