/** What the command line says of predictors, and takes for them. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { runCli, withTinyModel } from "./run_cli.ts";
import "../support/thread_pool.ts";

const GOOD: TinyModelOptions = {
  architecture: "bamboo",
  seed: 3,
  feedForwardLength: 256,
  predictor: { rank: 8, layers: [1] },
};
const BAD: TinyModelOptions = { ...GOOD, predictor: { rank: 8, brokenLayers: [0, 1] } };
const TOKENS = ["--tokens", "1,7,300", "--out", "/dev/null"];

Deno.test("show prints predictors: rank, bytes, threshold, layers without one", () =>
  withTinyModel(async (path) => {
    const json = JSON.parse((await runCli(["show", path, "--json"])).stdout);
    assertEquals(json.predictors, {
      ...{ layers: 1, missing_layers: [0], rank: { min: 8, max: 8 } },
      ...{ bytes: 4 * 8 * (64 + 256), threshold: 0 },
    });
    const { stdout } = await runCli(["show", path, "--predictor-threshold", "0.5"]);
    assertMatch(stdout, /predictors +rank 8, 10\.0 KiB, threshold 0\.5, in 1 layers, missing in 0/);
  }, GOOD));

Deno.test("show prints no predictors where there are none", () =>
  withTinyModel(async (path) => {
    assertEquals(JSON.parse((await runCli(["show", path, "--json"])).stdout).predictors, null);
    assertEquals((await runCli(["show", path])).stdout.includes("predictors"), false);
  }));

Deno.test("logits says on stderr what predictors find, and warns of wrong ones", async () => {
  await withTinyModel(async (path) => {
    const { stderr } = await runCli(["logits", path, ...TOKENS]);
    assertMatch(stderr, /Predictors \(rank 8, .*\): they find (100\.0|99\.\d) % of the neurons/);
    assertStringIncludes(stderr, "used in 1 of 1 layers");
    assertStringIncludes(stderr, "Predictors are missing in layer 0");
  }, GOOD);
  await withTinyModel(async (path) => {
    const { code, stderr } = await runCli(["logits", path, ...TOKENS]);
    assertEquals(code, 0);
    assertMatch(stderr, /do not fit this model: they find \d\d\.\d %.*none is used/);
    const on = await runCli(["logits", path, ...TOKENS], { env: { GANGLION_PREDICTOR: "on" } });
    assertStringIncludes(on.stderr, "they are used all the same");
    const off = await runCli(["logits", path, ...TOKENS, "--predictor", "off"]);
    assertEquals(off.stderr.includes("redictor"), false);
  }, BAD);
});

Deno.test("the threshold comes from the flag, else our variable, else PowerInfer's", () =>
  withTinyModel(async (path) => {
    const threshold = async (args: string[], env: Record<string, string>) => {
      const { stdout } = await runCli(["show", path, "--json", ...args], { env });
      return JSON.parse(stdout).predictors.threshold;
    };
    const theirs = { LLAMA_SPARSE_PRED_THRESHOLD: "-1.5" };
    const both = { ...theirs, GANGLION_PREDICTOR_THRESHOLD: "2" };
    assertEquals(await threshold([], theirs), -1.5);
    assertEquals(await threshold([], both), 2);
    assertEquals(await threshold(["--predictor-threshold", "0.25"], both), 0.25);
  }, GOOD));

Deno.test("what is no threshold, no way of using predictors, or a contradiction is refused", () =>
  withTinyModel(async (path) => {
    const cases: [string[], Record<string, string>, string][] = [
      [["--predictor-threshold", "low"], {}, "A number is needed"],
      [["--predictor-threshold", "Infinity"], {}, "A number is needed"],
      [["--predictor", "perhaps"], {}, "auto, on, off"],
      [[], { LLAMA_SPARSE_PRED_THRESHOLD: "low" }, '"low" is no number'],
      [["--predictor", "on", "--dense"], {}, "--predictor on with --dense"],
    ];
    for (const [args, env, message] of cases) {
      const { code, stderr } = await runCli(["show", path, ...args], { env });
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, message);
    }
  }, GOOD));
