/**
 * The slow truth: a whole dense transformer made of the formulas in ops.ts, in f64. The judge of
 * every golden test; reads like the model's definition and is fast nowhere. Knows ids and logits;
 * nothing of text, threads or WebAssembly.
 */
import { check } from "../base/check.ts";
import { type GgufFile, TensorReader } from "../gguf/mod.ts";
import {
  dequantize,
  describeModel,
  fillRopeTable,
  type LayerTensors,
  type ModelConfig,
  type ModelTensors,
  type RopeFrequencies,
  ropeFrequencies,
} from "../model/mod.ts";
import { add, addBias, attention, matmul, rmsNorm, rope, siluMul } from "./ops.ts";

/** Where the weights come from and who looks on. */
export interface ReferenceOptions {
  /** Left out: the file's parts are opened and closed again. */
  readonly reader?: TensorReader;
  /** Is shown every intermediate by name ("layer 3 query"), [n, …]. */
  readonly onTensor?: (name: string, data: Float64Array) => void;
}

/** A dequantised tensor: [values.length / columns, columns], row-major. */
interface Weight {
  readonly values: Float32Array;
  readonly columns: number;
}

/** Keys and values of all positions so far, [positions, headCountKv, headDim]. */
interface LayerCache {
  keys: Float64Array;
  values: Float64Array;
}

/** Where new tokens stand: the first one's position, and cosines and sines of all of them. */
interface Place {
  readonly fromPosition: number;
  /** [n, dimensionCount]. */
  readonly rotation: Float64Array;
}

/** One sequence run by one model. */
export class ReferenceModel {
  readonly config: ModelConfig;
  readonly #tensors: ModelTensors;
  readonly #weights: ReadonlyMap<string, Weight>;
  readonly #frequencies: RopeFrequencies;
  readonly #caches: readonly LayerCache[];
  readonly #onTensor: NonNullable<ReferenceOptions["onTensor"]>;

  /**
   * Reads and dequantises all weights.
   * @throws {ModelFormatError | UnsupportedModelError} as `describeModel` does.
   */
  constructor(file: GgufFile, options: ReferenceOptions = {}) {
    const { config, tensors } = describeModel(file);
    this.config = config;
    this.#tensors = tensors;
    this.#weights = readWeights(file, options.reader);
    const { factorsTensor } = config.rope;
    const factors = factorsTensor === null ? null : this.#values(factorsTensor);
    this.#frequencies = ropeFrequencies(config.rope, factors);
    const none = new Float64Array(0);
    this.#caches = tensors.layers.map(() => ({ keys: none, values: none }));
    this.#onTensor = options.onTensor ?? (() => {});
  }

  /**
   * Runs new tokens after the first `fromPosition` ones; what came later before is forgotten.
   * @returns logits after each new token, f32 [n, vocabSize].
   */
  forward(ids: readonly number[], fromPosition = 0): Float32Array {
    const { outputNorm, output, layers } = this.#tensors;
    const place = { fromPosition, rotation: this.#rotation(ids.length, fromPosition) };

    let x = this.#show("embedding", this.#embed(ids)); //    [n, embeddingLength]
    layers.forEach((layer, index) => {
      x = this.#attend(x, index, place);
      x = this.#feedForward(x, layer, index);
    });
    const h = this.#show("norm", this.#norm(x, outputNorm));
    const logits = this.#show("logits", this.#project(h, output));
    return Float32Array.from(logits); //                     [n, vocabSize]
  }

  /** x + Wo · attention(rope(Wq·h + bq), rope(Wk·h + bk), Wv·h + bv), where h = norm(x). */
  #attend(x: Float64Array, index: number, { fromPosition, rotation }: Place): Float64Array {
    const { headCount, headCountKv, headDim, slidingWindow, rope: { kind } } = this.config;
    const layer = this.#tensors.layers[index];
    const turned = { headDim, rotDim: this.config.rope.dimensionCount, kind };
    const show = (name: string, data: Float64Array) => this.#show(`layer ${index} ${name}`, data);

    const h = show("attention norm", this.#norm(x, layer.attentionNorm));
    const query = this.#project(h, layer.query, layer.queryBias);
    const key = this.#project(h, layer.key, layer.keyBias);
    const value = show("value", this.#project(h, layer.value, layer.valueBias));
    const q = show("query", rope(query, rotation, { heads: headCount, ...turned }));
    const k = show("key", rope(key, rotation, { heads: headCountKv, ...turned }));

    const cache = this.#caches[index];
    const kept = fromPosition * headCountKv * headDim;
    cache.keys = append(cache.keys, kept, k);
    cache.values = append(cache.values, kept, value);
    const heads = attention({ q, k: cache.keys, v: cache.values }, {
      p0: fromPosition,
      heads: headCount,
      kvHeads: headCountKv,
      groupSize: headCount / headCountKv,
      headDim,
      window: slidingWindow,
      scale: 1 / Math.sqrt(headDim),
    });
    const out = this.#project(show("heads", heads), layer.attentionOutput);
    return show("attention out", add(x, out));
  }

  /** x + Wdown · (silu(Wgate·h) · (Wup·h)), where h = norm(x). */
  #feedForward(x: Float64Array, layer: LayerTensors, index: number): Float64Array {
    const show = (name: string, data: Float64Array) => this.#show(`layer ${index} ${name}`, data);
    const h = show("feed-forward norm", this.#norm(x, layer.feedForwardNorm));
    const gate = show("gate", this.#project(h, layer.gate));
    const up = show("up", this.#project(h, layer.up));
    const neurons = show("neurons", siluMul(gate, up));
    return show("feed-forward out", add(x, this.#project(neurons, layer.down)));
  }

  /** Rows `ids` of the embedding table, [n, embeddingLength]. */
  #embed(ids: readonly number[]): Float64Array {
    const { embeddingLength: width, vocabSize } = this.config;
    const table = this.#values(this.#tensors.tokenEmbedding);
    const x = new Float64Array(ids.length * width);
    ids.forEach((id, t) => {
      check(Number.isInteger(id) && id >= 0 && id < vocabSize, `id ${id} of ${vocabSize}`);
      x.set(table.subarray(id * width, (id + 1) * width), t * width);
    });
    return x;
  }

  #norm(x: Float64Array, weight: string): Float64Array {
    return rmsNorm(x, this.#values(weight), this.config.rmsEpsilon);
  }

  /** W · h + b, [n, rows]. */
  #project(h: Float64Array, weight: string, bias: string | null = null): Float64Array {
    const { values, columns } = this.#weight(weight);
    const product = matmul(values, h, columns);
    return bias === null ? product : addBias(product, this.#values(bias));
  }

  #rotation(n: number, fromPosition: number): Float64Array {
    const { dimensionCount } = this.config.rope;
    const table = new Float64Array(n * dimensionCount);
    for (let t = 0; t < n; t++) {
      fillRopeTable(this.#frequencies, fromPosition + t, table, t * dimensionCount);
    }
    return table;
  }

  #values(name: string): Float32Array {
    return this.#weight(name).values;
  }

  #weight(name: string): Weight {
    const weight = this.#weights.get(name);
    check(weight !== undefined, `no weight "${name}"`);
    return weight;
  }

  #show(name: string, data: Float64Array): Float64Array {
    this.#onTensor(name, data);
    return data;
  }
}

function readWeights(file: GgufFile, givenReader?: TensorReader): ReadonlyMap<string, Weight> {
  const reader = givenReader ?? TensorReader.open(file);
  try {
    return new Map(
      [...file.tensors.values()].map((tensor) => {
        const values = dequantize(tensor.type, reader.readAll(tensor));
        return [tensor.name, { values, columns: tensor.dims[0] }];
      }),
    );
  } finally {
    if (!givenReader) reader.close();
  }
}

/** The first `kept` values of `old`, then `more`. */
function append(old: Float64Array, kept: number, more: Float64Array): Float64Array {
  check(kept <= old.length, `the cache holds ${old.length} values, not ${kept}`);
  const joined = new Float64Array(kept + more.length);
  joined.set(old.subarray(0, kept));
  joined.set(more, kept);
  return joined;
}
