/**
 * A layer of lightning attention, from what it reads to what it adds, as models define it: scans
 * from the first position on, as state_layer.ts does.
 */
import { check } from "../base/check.ts";
import { lightningDecays } from "../model/lightning.ts";
import type { LightningTensors, ModelConfig } from "../model/mod.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { rmsNorm } from "./ops.ts";
import { sigmoid } from "./routing.ts";
import { columns } from "./state_layer.ts";
import { selectiveScan } from "./state_space.ts";
import type { ReferenceWeights } from "./weights.ts";

/** What the layer adds, [positions, d]; rows: what it reads, [positions, d], of all positions. */
export function lightningLayer(
  tensors: LightningTensors,
  { config, weights, blocks, rows, index }: {
    readonly config: ModelConfig;
    readonly weights: ReferenceWeights;
    readonly blocks: ReferenceBlocks;
    readonly rows: Float64Array;
    /** Number of the layer. */
    readonly index: number;
  },
): Float64Array {
  const { stateSpace, blockCount, norm: { epsilon } } = config;
  check(stateSpace !== null, "the model has states");
  const { innerLength: inner, stateLength: headDim, headCount: heads } = stateSpace;
  const made = blocks.project(rows, tensors.input).map((value) => value * sigmoid(value));
  // Of each head's rows.
  const part = (index: number) =>
    columns(made, { width: 3 * headDim, start: index * headDim, length: headDim });
  const n = made.length / (3 * inner);
  // A state space whose steps are all 1, with nothing around the state.
  const y = selectiveScan({
    ...{ c: part(0), b: part(1), x: part(2) },
    dt: new Float64Array(n * heads).fill(1),
    a: lightningDecays(heads, index, blockCount),
    d: new Float64Array(heads),
    state: new Float64Array(inner * headDim),
  }, { heads, headDim, groups: heads, states: headDim });
  const gate = blocks.project(rows, tensors.gate);
  const gated = rmsNorm(y, weights.vector(tensors.norm), epsilon)
    .map((value, i) => value * sigmoid(gate[i]));
  return blocks.project(gated, tensors.output);
}
