/** Tensors of a layer of RWKV-6. Knows names and shapes; reads no weights. */
import { check } from "../../base/check.ts";
import type { LayerReader } from "./layer_reader.ts";
import type { FinchTensors, LayerTensors, MatrixTensor, VectorTensor } from "../types.ts";

/** What shares are for, as old files call their tensors, in the order of newer ones. */
const SHARES = ["w", "k", "v", "r", "g"] as const;

/**
 * The state of the layer, and what its neurons' rows are mixed and gated by, checked.
 * @throws {ModelFormatError | UnsupportedModelError} as `readTensors` does.
 */
export function finchTensors(
  reader: LayerReader,
): Pick<LayerTensors, "finch" | "feedForwardShift" | "neuronGate"> {
  const { checker, at, config: { stateSpace } } = reader;
  check(stateSpace?.timeMix !== undefined, "the model keeps rows");
  const { width, shiftsNeurons } = stateSpace.timeMix;
  const finch = layerFinch(reader);
  if (!shiftsNeurons) return { finch };
  const shift = (letter: string) => checker.vector(`${at}channel_mix_lerp_${letter}.weight`, width);
  const name = `${at}channel_mix_receptance.weight`;
  return {
    finch,
    feedForwardShift: shift("k"),
    neuronGate: {
      matrix: checker.matrix(name, { rows: width, columns: width }),
      shift: shift("r"),
    },
  };
}

function layerFinch(reader: LayerReader): FinchTensors {
  const { checker, at, config: { stateSpace } } = reader;
  const { timeMix, stateLength, headCount } = stateSpace!;
  const { width, ranks, moved } = timeMix!;
  check(moved !== undefined, "shares are moved");
  const matrix = (name: string, rows: number, columns: number, count = 1) =>
    checker.matrix(`${at}time_mix_${name}.weight`, { rows, columns, count });
  // All layers are like the first.
  const bias = (name: string, length: number) =>
    checker.has(`blk.0.time_mix_${name}.bias`)
      ? checker.vector(`${at}time_mix_${name}.bias`, length)
      : null;
  const projection = (name: string, rows: number): MatrixTensor => (
    { ...matrix(name, rows, width), bias: bias(name, rows) }
  );
  const keys = moved.keyHeads * stateLength;
  const hasNorm = moved.readsBefore;
  return {
    first: checker.vector(`${at}time_mix_lerp_x.weight`, width),
    shares: shares(reader, width),
    moves: {
      first: matrix("w1", 5 * moved.rank, width),
      second: matrix("w2", width, moved.rank, 5),
    },
    receptance: projection("receptance", width),
    key: projection("key", keys),
    value: projection("value", keys),
    gate: matrix("gate", width, width),
    output: matrix("output", width, width),
    decay: {
      first: matrix("decay_w1", ranks.decay, width),
      second: matrix("decay_w2", width, ranks.decay),
      bias: checker.vector(`${at}time_mix_decay.weight`, width),
    },
    bonus: moved.readsBefore
      ? checker.vector(`${at}time_mix_first.weight`, stateLength, headCount)
      : null,
    norm: hasNorm
      ? {
        weight: checker.vector(`${at}time_mix_ln.weight`, width),
        bias: checker.vector(`${at}time_mix_ln.bias`, width),
      }
      : null,
  };
}

/** In one tensor, or in older files in five. */
function shares({ checker, at }: LayerReader, width: number): readonly VectorTensor[] {
  if (checker.has("blk.0.time_mix_lerp_w.weight")) {
    return SHARES.map((letter) => checker.vector(`${at}time_mix_lerp_${letter}.weight`, width));
  }
  const name = `${at}time_mix_lerp_fused.weight`;
  const all = checker.stackedVectors(name, width, SHARES.length);
  return SHARES.map((_, index) => ({ ...all, start: index * width, length: width }));
}
