/** Learned queries of windows of a tower's rows, block by block: formulas, in f64. */
import type { NormTensors } from "../model/types.ts";
import type {
  AskingTensors,
  LayerQueriesConfig,
  LayerQueriesTensors,
  WindowQueriesConfig,
  WindowQueriesTensors,
} from "../model/window_queries.ts";
import { activate, layerNorm } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { add, type Numbers } from "./ops.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What makes them. */
interface Parts {
  readonly config: WindowQueriesConfig;
  readonly tensors: WindowQueriesTensors;
  readonly blocks: ReferenceBlocks;
  readonly weights: ReferenceWeights;
}

/**
 * [windows · queryCount, E] of the tower's rows, [n, d]. layer: they are what a layer leaves,
 * normalised. Left out: what the last one does.
 */
export function askWindows(
  rows: Float64Array,
  { config, tensors, blocks, weights }: Parts,
  layer?: OfLayer,
): Float64Array {
  const { rows: length, epsilon } = config;
  const normal = (x: Float64Array, { weight, bias }: NormTensors) =>
    layerNorm(x, {
      weight: weights.vector(weight!),
      bias: bias && weights.vector(bias),
      epsilon,
    });
  const d = tensors.blocks[0].window.key.columns;
  const count = Math.ceil(rows.length / (d * length));
  const whole = new Float64Array(count * length * d);
  whole.set(rows);
  const learned = Float64Array.from(weights.matrix(tensors.queries));
  const windows = Array.from({ length: count }, (_, window) => {
    const own = whole.subarray(window * length * d, (window + 1) * length * d);
    const { seen, taken } = layer ? placed(own, d, layer, weights) : { seen: own, taken: null };
    const asked = normal(taken === null ? learned : add(learned, taken), tensors.queryNorm);
    return tensors.blocks.reduce((x, { own, window, first, second, norm }) => {
      const heads = (x: Float64Array, of: Float64Array, by: AskingTensors) =>
        normal(add(x, ask(x, of, { config, blocks, by })), by.norm);
      const after = heads(heads(x, x, own), seen, window);
      const neurons = activate(config.activation ?? "gelu", blocks.project(after, first));
      return normal(add(after, blocks.project(neurons, second)), norm);
    }, asked);
  });
  return Float64Array.from(windows.flatMap((each) => Array.from(each)));
}

interface OfLayer {
  readonly config: LayerQueriesConfig;
  readonly tensors: LayerQueriesTensors;
}

/** Rows of a square window, block by block: with their positions, and what each block gives. */
function placed(
  rows: Float64Array,
  d: number,
  { config: { rows: count, queryCount, taken }, tensors }: OfLayer,
  weights: ReferenceWeights,
): { readonly seen: Float64Array; readonly taken: Float64Array } {
  const [side, blocks] = [Math.sqrt(count), Math.sqrt(queryCount)];
  const within = side / blocks;
  const positions = weights.matrix(tensors.positions);
  const seen = Float64Array.from(rows);
  const sums = new Float64Array(queryCount * d);
  let row = 0;
  for (let block = 0; block < queryCount; block++) {
    for (let at = 0; at < within ** 2; at++, row++) {
      const y = Math.floor(block / blocks) * within + Math.floor(at / within);
      const x = block % blocks * within + at % within;
      const share = taken === null ? 1 / within ** 2 : taken === at ? 1 : 0;
      for (let i = 0; i < d; i++) {
        seen[row * d + i] += positions[(y * side + x) * d + i];
        sums[block * d + i] += share * rows[row * d + i];
      }
    }
  }
  return { seen, taken: sums };
}

/** output · softmax(q · kᵀ / √headDim) · v. */
function ask(
  x: Float64Array,
  of: Float64Array,
  { config: { width, headDim }, blocks, by }: Pick<Parts, "config" | "blocks"> & {
    readonly by: AskingTensors;
  },
): Float64Array {
  const q = blocks.project(x, by.query), k = blocks.project(of, by.key);
  const v = blocks.project(of, by.value);
  const count = k.length / width;
  const mixed = new Float64Array(q.length);
  for (let at = 0; at < q.length; at += headDim) {
    const head = at % width;
    const scores = Float64Array.from({ length: count }, (_, row) => {
      let sum = 0;
      for (let i = 0; i < headDim; i++) sum += q[at + i] * k[row * width + head + i];
      return sum / Math.sqrt(headDim);
    });
    softened(scores, count).forEach((share, row) => {
      for (let i = 0; i < headDim; i++) mixed[at + i] += share * v[row * width + head + i];
    });
  }
  return blocks.project(mixed, by.output);
}

/** Shares of each so many numbers, 1 all together. */
export function softened(x: Numbers, length: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += length) {
    const own = Array.from({ length }, (_, i) => x[at + i]);
    const most = Math.max(...own);
    const shares = own.map((value) => Math.exp(value - most));
    const all = shares.reduce((sum, share) => sum + share, 0);
    out.set(shares.map((share) => share / all), at);
  }
  return out;
}
