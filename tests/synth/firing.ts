/**
 * How often neurons of a made-up model fire, and how well its predictors know, measured with plain
 * formulas over what the reference computes on the way.
 */
import { encodeGguf, type GgufFile, parseGguf, storedMetadata } from "../../src/gguf/mod.ts";
import { TensorReader, type TypedGgufFile } from "../../src/gguf/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { matmul } from "../../src/reference/ops.ts";

/** What was counted over all neurons of a block, of all experts, and all tokens. */
export interface Firing {
  /** Share of gates that are not positive. */
  readonly silentGates: number;
  /** Share of neurons whose product is zero. */
  readonly silentNeurons: number;
  /** Shares of the neurons that fire that are predicted, and the other way round. */
  readonly recall: number;
  readonly precision: number;
  /** Share of neurons that are predicted. */
  readonly predicted: number;
}

const IDS = [1, 270, 280, 290, 300, 310, 320, 330];

/** Counts per block. */
export function measureFiring(file: TypedGgufFile, isDrelu: boolean): Firing[] {
  using reader = TensorReader.open(file);
  const shown = new Map<string, Float64Array>();
  const plain = withoutPredictors(file, reader);
  const model = new ReferenceModel(plain.file, {
    reader: plain.reader,
    onTensor: (name, data) => shown.set(name, data),
  });
  model.forward(IDS);
  return Array.from({ length: model.config.blockCount }, (_, block) =>
    measureBlock(file, {
      reader,
      block,
      residual: shown.get(`layer ${block} attention out`)!,
      normed: shown.get(`layer ${block} feed-forward norm`)!,
      isDrelu,
    }));
}

/** A block and what its neurons and its predictor read, [n, d]. */
export interface BlockInputs {
  readonly reader: TensorReader;
  readonly block: number;
  readonly residual: Float64Array;
  readonly normed: Float64Array;
  readonly isDrelu: boolean;
}

/** Counts of one block. */
export function measureBlock(file: GgufFile, inputs: BlockInputs): Firing {
  const { reader, block, residual, normed, isDrelu } = inputs;
  const product = (names: readonly string[], x: Float64Array, expert: number) => {
    const tensor = names.map((name) => file.tensors.get(`blk.${block}.${name}.weight`))
      .find((each) => each !== undefined);
    if (tensor === undefined) return null;
    const [columns, , count = 1] = tensor.dims;
    const sizeBytes = tensor.sizeBytes / count;
    const bytes = new Uint8Array(sizeBytes);
    reader.read(tensor, expert * sizeBytes, bytes);
    return matmul(dequantize(tensor.type, bytes), x, columns);
  };
  const experts = file.tensors.get(`blk.${block}.ffn_gate_exps.weight`)?.dims[2] ?? 1;
  const counts = { all: 0, gates: 0, fired: 0, predicted: 0, right: 0 };
  for (let expert = 0; expert < experts; expert++) {
    const gate = product(["ffn_gate", "ffn_gate_exps"], normed, expert)!;
    const up = product(["ffn_up", "ffn_up_exps"], normed, expert)!;
    const hidden = product(["fc1", "ffn_fc1_exps"], residual, expert)?.map((x) => Math.max(0, x));
    const logits = hidden && product(["fc2", "ffn_fc2_exps"], hidden, expert);
    gate.forEach((g, i) => {
      const fires = g > 0 && (!isDrelu || up[i] > 0);
      const isPredicted = logits ? logits[i] >= 0 : false;
      counts.all++;
      if (g > 0) counts.gates++;
      if (fires) counts.fired++;
      if (isPredicted) counts.predicted++;
      if (fires && isPredicted) counts.right++;
    });
  }
  return {
    silentGates: 1 - counts.gates / counts.all,
    silentNeurons: 1 - counts.fired / counts.all,
    recall: counts.right / counts.fired,
    precision: counts.right / counts.predicted,
    predicted: counts.predicted / counts.all,
  };
}

/** The model as every engine can read it. */
function withoutPredictors(
  file: TypedGgufFile,
  reader: TensorReader,
): { file: GgufFile; reader: TensorReader } {
  const tensors = [...file.tensors.values()].filter(({ name }) => !/fc[12]/.test(name))
    .map((tensor) => {
      const bytes = reader.readAll(tensor);
      return { ...tensor, pieces: () => [bytes] };
    });
  const bytes = encodeGguf({ metadata: storedMetadata(file), tensors });
  return { file: parseGguf(bytes), reader: TensorReader.ofBytes(bytes) };
}
