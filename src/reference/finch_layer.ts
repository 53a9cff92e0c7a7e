/**
 * A layer of RWKV-6, from what it reads to what it adds, as models define it: scans from the first
 * position on, as state_layer.ts does.
 */
import { check } from "../base/check.ts";
import type { FinchTensors, ModelConfig } from "../model/mod.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { addedScan, shiftRows, shiftRowsBy } from "./keyed_scan.ts";
import { addBias, filled } from "./ops.ts";
import { sigmoid } from "./routing.ts";
import { normalizeHeads } from "./time_mix.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What the layer adds, [positions, d]; rows: what it reads, [positions, d], of all positions. */
export function finchLayer(
  tensors: FinchTensors,
  { config, weights, blocks, rows }: {
    readonly config: ModelConfig;
    readonly weights: ReferenceWeights;
    readonly blocks: ReferenceBlocks;
    readonly rows: Float64Array;
  },
): Float64Array {
  const { stateSpace } = config;
  check(stateSpace?.timeMix?.moved !== undefined, "shares are moved");
  const { innerLength, stateLength: states, headCount: heads, timeMix: { moved } } = stateSpace;
  const shape = { heads, headDim: innerLength / heads, states };
  const [xw, xk, xv, xr, xg] = movedRows(tensors, { weights, blocks, rows });
  const r = blocks.project(xr, tensors.receptance);
  const key = ofAllHeads(blocks.project(xk, tensors.key), { ...shape, keyHeads: moved.keyHeads });
  const v = ofAllHeads(blocks.project(xv, tensors.value), { ...shape, keyHeads: moved.keyHeads });
  const { first, second, bias } = tensors.decay;
  const between = blocks.project(xw, first!).map(Math.tanh);
  const w = addBias(blocks.project(between, second), weights.vector(bias!))
    .map((value) => Math.exp(-Math.exp(value)));
  const k = moved.readsBefore ? key : key.map((value, i) => value * (1 - w[i]));
  const bonus = tensors.bonus && weights.vector(tensors.bonus);
  const state = new Float64Array(innerLength * states);
  const y = addedScan({ r, w, k, v, bonus, state }, shape);
  const out = normalizeHeads(y, tensors.norm, { weights, headDim: shape.headDim });
  const gate = blocks.project(xg, tensors.gate)
    .map((value) => moved.readsBefore ? value * sigmoid(value) : sigmoid(value));
  return blocks.project(out.map((value, i) => value * gate[i]), tensors.output);
}

/** The five rows that parts are made of, by shares that depend on the row. */
function movedRows(
  { first, shares, moves }: FinchTensors,
  { weights, blocks, rows }: {
    weights: ReferenceWeights;
    blocks: ReferenceBlocks;
    rows: Float64Array;
  },
): Float64Array[] {
  const mixed = shiftRows(rows, weights.vector(first));
  const all = blocks.project(mixed, moves.first).map(Math.tanh);
  const rank = moves.second.columns, width = moves.second.rows / shares.length;
  return shares.map((share, part) => {
    const n = all.length / moves.first.rows;
    const own = Float64Array.from(
      { length: n * rank },
      (_, i) => all[Math.floor(i / rank) * moves.first.rows + part * rank + i % rank],
    );
    const { second } = moves;
    const rowStart = second.rowStart + part * width;
    const moved = blocks.project(own, { ...second, rowStart, rows: width });
    return shiftRowsBy(rows, addBias(moved, weights.vector(share)), width);
  });
}

/** Keys or values of some heads, each as often as heads share it. */
function ofAllHeads(
  x: Float64Array,
  { heads, headDim, keyHeads }: { heads: number; headDim: number; keyHeads: number },
): Float64Array {
  const width = heads * headDim;
  return filled(x.length / keyHeads * heads, (i) => {
    const head = Math.floor(i % width / headDim * keyHeads / heads);
    return x[Math.floor(i / width) * keyHeads * headDim + head * headDim + i % headDim];
  });
}
