/**
 * A rank's share of a layer of lightning attention: some heads, and what the scan of state spaces
 * reads for them that is in no file. Knows shards and tensors.
 */
import { check } from "../../base/check.ts";
import { lightningDecays } from "../../model/lightning.ts";
import type { LightningTensors, ModelConfig } from "../../model/types.ts";
import type { Placer } from "./plan_layer.ts";
import { channelsOf, placeBytes } from "./plan_state.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import { lengthOf, type Range } from "./shard.ts";

/** A layer's share; `LightningTensors` says what each is. */
export interface LightningPlan {
  readonly heads: Range;
  /** Of own heads all queries, then all keys, then all values. */
  readonly input: MatrixPlan;
  readonly gate: MatrixPlan;
  readonly norm: VectorPlan;
  readonly output: MatrixPlan;
  /**
   * What kernels read, and who begins writes, f32 [3, own heads]: decays, steps of 1, and zeros for
   * what goes around states.
   */
  readonly constants: { readonly offsetBytes: number; readonly values: readonly number[] };
  /** Bytes of one place, states, and where the first one is. */
  readonly placeBytes: number;
  readonly placesOffsetBytes: number;
}

/** Lays a layer's share; places: of states. */
export function planLightning(
  place: Placer,
  tensors: LightningTensors,
  { config, heads, index }: { config: ModelConfig; heads: Range; index: number },
): Omit<LightningPlan, "placesOffsetBytes"> {
  const { stateSpace: shape, blockCount } = config;
  check(shape !== null, "the model has states");
  const { stateLength: headDim, headCount } = shape;
  const own = channelsOf(heads, shape);
  const count = lengthOf(heads);
  const parts = [0, 1, 2].flatMap((part) =>
    Array.from({ length: count }, (_, head) => {
      const start = ((heads.start + head) * 3 + part) * headDim;
      return { start, end: start + headDim };
    })
  );
  const decays = lightningDecays(headCount, index, blockCount).subarray(heads.start, heads.end);
  const values = [...decays, ...Array(count).fill(1), ...Array(count).fill(0)];
  return {
    heads,
    input: place.matrix(tensors.input, {
      rows: { start: 0, end: 3 * count * headDim },
      picked: parts,
    }),
    gate: place.matrix(tensors.gate, { rows: own }),
    norm: place.vector(tensors.norm, own),
    output: place.matrix(tensors.output, { columns: own }),
    constants: {
      offsetBytes: place.region(`blk.${index}.decays`, 4 * values.length),
      values,
    },
    placeBytes: placeBytes(heads, shape),
  };
}
