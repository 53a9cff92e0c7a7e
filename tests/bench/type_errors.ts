/**
 * How much is lost by types of four bits: root mean square error of a model's matrices, relative to
 * the weights' own, and perplexity of a text, type by type:
 *
 *   deno run -A --v8-flags=--no-wasm-bounds-checks,--experimental-wasm-revectorize \
 *     tests/bench/type_errors.ts --file=TEXT MODEL…
 *
 * Models in F32 or F16. Errors are of every matrix whose weights are whole superblocks, all in the
 * type itself, so that all types are judged on the same weights; for perplexity, `quantize` gives
 * another type to matrices whose rows do not divide into blocks, and the table says how many.
 */
import { type GgufFile, openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { loadModel } from "../../src/llm/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import {
  chooseTypes,
  encodeWeights,
  type Quant,
  quantizeFile,
  type WeightType,
} from "../../src/quantize/mod.ts";

const TYPES = ["Q4_0", "Q4_1", "Q4_K", "E0M4"] as const;
const SUPERBLOCK = 256;
/** Tokens in a window; the second half counts, as `ganglion perplexity` has it. */
const WINDOW = 128;
const WINDOWS_MAX = 40;

/** Σ(w' − w)² / Σ w², its root, over all matrices of a model that are whole superblocks. */
export function relativeError(file: GgufFile, type: WeightType): number {
  using reader = TensorReader.open(file);
  let error = 0;
  let size = 0;
  for (const name of chooseTypes([...file.tensors.values()], type).keys()) {
    const tensor = file.tensors.get(name)!;
    const weights = dequantize(tensor.type, reader.readAll(tensor));
    if (weights.length % SUPERBLOCK !== 0) continue;
    const back = dequantize(type, encodeWeights(type, weights));
    for (let i = 0; i < weights.length; i++) {
      error += (back[i] - weights[i]) ** 2;
      size += weights[i] ** 2;
    }
  }
  return Math.sqrt(error / size);
}

async function perplexity(path: string, text: string): Promise<number> {
  const model = await loadModel(path, { contextLength: WINDOW });
  const ids = model.encodePrompt(text);
  const { addBos, bosId } = model.tokenizer;
  const count = Math.min(WINDOWS_MAX, Math.floor(ids.length / WINDOW));
  const from = WINDOW / 2 + 1;
  let nll = 0;
  for (let index = 0; index < count; index++) {
    const window = ids.slice(index * WINDOW, (index + 1) * WINDOW);
    if (addBos && bosId !== null) window[0] = bosId;
    nll += await model.negativeLogLikelihood(window, from);
  }
  await model.close();
  return Math.exp(nll / (count * (WINDOW - from)));
}

async function quantisedPerplexity(path: string, quant: Quant, text: string): Promise<string> {
  const out = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    const { replaced } = await quantizeFile({ input: path, out, quant });
    const note = replaced.length > 0 ? ` (${replaced.length} matrices ${replaced[0].type} …)` : "";
    return `${(await perplexity(out, text)).toFixed(4)}${note}`;
  } finally {
    await Deno.remove(out);
  }
}

async function main(): Promise<void> {
  const paths = Deno.args.filter((arg) => !arg.startsWith("--file="));
  const textPath = Deno.args.find((arg) => arg.startsWith("--file="))?.slice("--file=".length);
  const text = textPath === undefined ? null : await Deno.readTextFile(textPath);
  for (const path of paths) {
    const file = openGguf(path);
    const exact = text === null ? "" : (await perplexity(path, text)).toFixed(4);
    console.log(`${path.replace(/.*\//, "")}: perplexity ${exact}`);
    console.log("| type | bits a weight | relative error | perplexity |\n|---|---|---|---|");
    for (const type of TYPES) {
      const { blockBytes, blockElements } = dtypeByName(type)!;
      const error = (100 * relativeError(file, type)).toFixed(3);
      const ppl = text === null ? "" : await quantisedPerplexity(path, type, text);
      console.log(`| ${type} | ${8 * blockBytes / blockElements} | ${error} % | ${ppl} |`);
    }
  }
}

if (import.meta.main) await main();
