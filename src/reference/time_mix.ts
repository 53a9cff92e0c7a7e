/**
 * A layer of RWKV-7, from what it reads to what it adds, as models define it: scans from the first
 * position on, as state_layer.ts does.
 */
import { check } from "../base/check.ts";
import type { LowRankTensors, ModelConfig, TimeMixTensors } from "../model/mod.ts";
import { layerNorm } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { keyedBonus, keyedScan, prepareKeyed, shiftRows } from "./keyed_scan.ts";
import { addBias } from "./ops.ts";
import { sigmoid } from "./routing.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What a head's outcome is normalised with: 1e-5 for each of 64 numbers, in all models. */
const NORM_EPSILON = 64e-5;

export interface TimeMixInput {
  readonly config: ModelConfig;
  readonly weights: ReferenceWeights;
  readonly blocks: ReferenceBlocks;
  /** What the layer reads, [positions, d], of all positions. */
  readonly rows: Float64Array;
  /** Values of the first layer, [positions, inner]; null: this is the first. */
  readonly firstValues: Float64Array | null;
}

/** What the layer adds, [positions, d], and its values, [positions, inner]. */
export function timeMixLayer(
  tensors: TimeMixTensors,
  { config, weights, blocks, rows, firstValues }: TimeMixInput,
): { out: Float64Array; values: Float64Array } {
  const { stateSpace } = config;
  check(stateSpace !== null, "the model has states");
  const { headCount: heads, innerLength, stateLength: states } = stateSpace;
  const shape = { heads, headDim: innerLength / heads, states };
  const shares = weights.vector(tensors.shifts);
  const width = config.embeddingLength;
  const shifted = (part: number) =>
    shiftRows(rows, shares.subarray(part * width, (part + 1) * width));
  const lowRank = (x: Float64Array, { first, second, bias }: LowRankTensors, act: Act) => {
    const product = blocks.project(blocks.project(x, first!).map(act), second);
    return bias === null ? product : addBias(product, weights.vector(bias));
  };

  const r = blocks.project(shifted(0), tensors.receptance);
  const w = lowRank(shifted(1), tensors.decay, Math.tanh);
  const key = blocks.project(shifted(2), tensors.key);
  const own = blocks.project(shifted(3), tensors.value);
  const values = firstValues === null || tensors.firstValue === null
    ? own
    : mixValues(own, firstValues, lowRank(shifted(3), tensors.firstValue, asItIs));
  const prepared = prepareKeyed(
    { k: key, w, rate: lowRank(shifted(4), tensors.rate, asItIs) },
    {
      keyScale: weights.vector(tensors.keyScale),
      keyRate: weights.vector(tensors.keyRate),
      states,
    },
  );
  const state = new Float64Array(innerLength * states);
  const y = keyedScan({ r, v: values, state, ...prepared }, shape);
  const around = keyedBonus(
    { r, k: prepared.k, v: values, bonus: weights.vector(tensors.bonus) },
    shape,
  );
  const sum = normalizeHeads(y, tensors.norm, { weights, headDim: shape.headDim })
    .map((value, i) => value + around[i]);
  const gate = tensors.gate && lowRank(shifted(5), tensors.gate, sigmoid);
  const gated = gate === null ? sum : sum.map((value, i) => value * gate[i]);
  return { out: blocks.project(gated, tensors.output), values };
}

type Act = (x: number) => number;
const asItIs: Act = (x) => x;

/** own + sigmoid(share) ⊙ (first − own). */
function mixValues(own: Float64Array, first: Float64Array, share: Float64Array): Float64Array {
  return own.map((value, i) => value + sigmoid(share[i]) * (first[i] - value));
}

/** Each head by itself. */
export function normalizeHeads(
  y: Float64Array,
  norm: TimeMixTensors["norm"],
  { weights, headDim }: { weights: ReferenceWeights; headDim: number },
): Float64Array {
  if (norm === null) return y;
  const [weight, bias] = [norm.weight, norm.bias].map((each) => weights.vector(each));
  const ones = new Float32Array(headDim).fill(1);
  const normed = layerNorm(y, { weight: ones, bias: null, epsilon: NORM_EPSILON });
  return normed.map((value, i) => value * weight[i % weight.length] + bias[i % bias.length]);
}
