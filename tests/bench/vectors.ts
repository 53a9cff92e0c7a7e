/**
 * Vectors of texts beside native llama.cpp, in turns: an encoder of BERT base's shape with random
 * weights. Prints tokens a second, the best of seven, and how far the vectors are apart.
 *
 *   DENO_V8_FLAGS=--no-wasm-bounds-checks,--experimental-wasm-revectorize \
 *     deno run -A tests/bench/vectors.ts [TYPE:TOKENS:TEXTS …]
 */
import { fileURLToPath } from "node:url";
import { type LoadedModel, loadModel } from "../../src/llm/mod.ts";
import type { SynthQuant } from "../../src/synth/synth_types.ts";
import { nmse } from "../support/compare.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { installPeer } from "./install_peer.ts";
import { runJson } from "./run_json.ts";

const PEER = fileURLToPath(new URL("peer_vectors.mjs", import.meta.url));
const CASES = ["Q8_0:500:1", "Q8_0:40:1", "Q8_0:40:16", "Q8_0:12:1", "F16:500:1"];
const ROUNDS = 7;
const THREADS = 2;
const SHAPE: TinyModelOptions = {
  ...{ architecture: "bert", embeddingLength: 768, headCount: 12, headCountKv: 12 },
  ...{ blockCount: 12, feedForwardLength: 3072, vocabSize: 30522, contextLength: 512 },
};

/** Of so many texts of the same ids: the best round, and one vector. */
async function ours(model: LoadedModel, ids: readonly number[], texts: number) {
  let ms = Infinity;
  let vector = new Float32Array();
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    vector = Float32Array.from((await model.embed(Array(texts).fill(ids)))[0]);
    ms = Math.min(ms, performance.now() - startMs);
  }
  return { ms: ms / texts, vector };
}

const packageFolder = await installPeer("node-llama-cpp");
for (const each of Deno.args.length > 0 ? Deno.args : CASES) {
  const [type, tokens, texts] = each.split(":");
  const ids = Array.from({ length: Number(tokens) }, (_, i) => 10 + (i * 7919) % 30000);
  await withTinyFile({ ...SHAPE, type: type as SynthQuant }, async (modelPath) => {
    const model = await loadModel(modelPath, { threads: THREADS, gpu: "off" });
    const own = await ours(model, ids, Number(texts));
    await model.close();
    const stdin = JSON.stringify({
      packageFolder,
      modelPath,
      threads: THREADS,
      ids,
      rounds: ROUNDS,
    });
    const peer = await runJson("node", [PEER], { stdin }) as { ms: number; vector: number[] };
    const rate = (ms: number) => (ids.length / ms * 1000).toFixed(0);
    const apart = nmse(own.vector, Float32Array.from(peer.vector)).toExponential(1);
    console.log(`${each}: ${rate(own.ms)} tok/s, node-llama-cpp ${rate(peer.ms)}; NMSE ${apart}`);
  });
}
