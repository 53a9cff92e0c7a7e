/** Tensors of a layer of RWKV-7. Knows names and shapes; reads no weights. */
import { check } from "../../base/check.ts";
import type { LayerReader } from "./layer_reader.ts";
import type { LayerTensors, LowRankTensors, TimeMixTensors } from "../types.ts";

/** What `shifts` of a layer without gates has shares for, and of one with gates. */
const SHARES = { ungated: 5, gated: 6 } as const;

/**
 * The state of the layer and what its neurons' rows are mixed by, checked.
 * @throws {ModelFormatError | UnsupportedModelError} as `readTensors` does.
 */
export function timeMixTensors(
  reader: LayerReader,
): Pick<LayerTensors, "timeMix" | "feedForwardShift"> {
  const { checker, at, config: { stateSpace } } = reader;
  check(stateSpace?.timeMix !== undefined, "the model has keyed states");
  const { width, shiftsNeurons } = stateSpace.timeMix;
  const timeMix = layerTimeMix(reader, stateSpace.timeMix);
  if (!shiftsNeurons) return { timeMix };
  return { timeMix, feedForwardShift: checker.vector(`${at}channel_mix_lerp_k.weight`, width) };
}

function layerTimeMix(
  reader: LayerReader,
  { width, ranks }: { width: number; ranks: Readonly<Record<string, number>> },
): TimeMixTensors {
  const { checker, at, index } = reader;
  const vector = (name: string) => checker.vector(`${at}time_mix_${name}.weight`, width);
  const square = (name: string) =>
    checker.matrix(`${at}time_mix_${name}.weight`, { rows: width, columns: width });
  // Files have such of the first layer, too, of another rank: nothing uses them.
  const ofValue = lowRank(reader, "v", { width, rank: index === 0 ? ranks.rate : ranks.value });
  const isGated = ranks.gate > 0;
  // All layers are like the first.
  const hasNorm = checker.has("blk.0.time_mix_ln.weight");
  return {
    shifts: checker.stackedVectors(
      `${at}time_mix_lerp_fused.weight`,
      width,
      isGated ? SHARES.gated : SHARES.ungated,
    ),
    receptance: square("receptance"),
    key: square("key"),
    value: square("value"),
    output: square("output"),
    decay: lowRank(reader, "w", { width, rank: ranks.decay }),
    rate: lowRank(reader, "a", { width, rank: ranks.rate }),
    firstValue: index === 0 ? null : ofValue,
    gate: isGated ? lowRank(reader, "g", { width, rank: ranks.gate }) : null,
    ...{ keyScale: vector("k_k"), keyRate: vector("k_a"), bonus: vector("r_k") },
    norm: hasNorm
      ? { weight: vector("ln"), bias: checker.vector(`${at}time_mix_ln.bias`, width) }
      : null,
  };
}

/** Gates have no biases. */
function lowRank(
  { checker, at }: LayerReader,
  letter: "w" | "a" | "v" | "g",
  { width, rank }: { width: number; rank: number },
): LowRankTensors {
  const name = (part: number) => `${at}time_mix_${letter}${part}.weight`;
  return {
    first: checker.matrix(name(1), { rows: rank, columns: width }),
    second: checker.matrix(name(2), { rows: width, columns: rank }),
    bias: letter === "g" ? null : checker.vector(name(0), width),
  };
}
