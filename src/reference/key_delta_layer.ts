/**
 * A layer of Kimi Delta Attention, from what it reads to what it adds, as models define it: scans
 * from the first position on, as state_layer.ts does.
 */
import { check } from "../base/check.ts";
import type { KeyDeltaTensors, LowRankTensors, ModelConfig } from "../model/mod.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { keyDecays, keyDeltaScan } from "./key_delta_scan.ts";
import { addBias, rmsNorm } from "./ops.ts";
import { sigmoid } from "./routing.ts";
import { stateConvolution } from "./state_space.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What the layer adds, [positions, d]; rows: what it reads, [positions, d], of all positions. */
export function keyDeltaLayer(
  tensors: KeyDeltaTensors,
  { config, weights, blocks, rows }: {
    readonly config: ModelConfig;
    readonly weights: ReferenceWeights;
    readonly blocks: ReferenceBlocks;
    readonly rows: Float64Array;
  },
): Float64Array {
  const { stateSpace, norm: { epsilon } } = config;
  check(stateSpace !== null, "the model has states");
  const { innerLength: inner, stateLength: states, headCount: heads } = stateSpace;
  const convolved = (name: "query" | "key" | "value") =>
    stateConvolution({
      x: blocks.project(rows, tensors[name]),
      weights: weights.vector(tensors.convolutions[name]),
      bias: null,
    }, { p0: 0, channels: inner });
  const lowRank = ({ first, second, bias }: LowRankTensors) => {
    const read = first === null ? rows : blocks.project(rows, first);
    const product = blocks.project(read, second);
    return bias === null ? product : addBias(product, weights.vector(bias));
  };
  const y = keyDeltaScan({
    ...{ q: convolved("query"), k: convolved("key"), v: convolved("value") },
    decay: keyDecays(lowRank(tensors.steps), weights.vector(tensors.decay), {
      states,
      floor: stateSpace.decayFloor,
    }),
    beta: blocks.project(rows, tensors.rates),
    state: new Float64Array(inner * states),
  }, { heads, headDim: inner / heads, states, epsilon });
  const gate = lowRank(tensors.gate);
  const gated = rmsNorm(y, weights.vector(tensors.norm), epsilon)
    .map((value, i) => value * sigmoid(gate[i]));
  return blocks.project(gated, tensors.output);
}
