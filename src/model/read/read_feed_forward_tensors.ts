/**
 * Tensor names of a feed-forward block, dense or of experts, in the forms that files have had.
 * Knows names and shapes; reads no weights.
 */
import { type LayerReader, readMatrix, rowsOf } from "./layer_reader.ts";
import { expertPredictors, predictorTensors } from "../powerinfer.ts";
import type { MatrixShape } from "./tensor_checker.ts";
import type {
  ApartTensors,
  DenseTensors,
  ExpertsConfig,
  ExpertTensors,
  MatrixTensor,
  VectorTensor,
} from "../types.ts";

/**
 * The tensors of a layer's feed-forward block, checked.
 * @throws {ModelFormatError | UnsupportedModelError} as `readTensors` does.
 */
export function feedForwardTensors(reader: LayerReader): DenseTensors | ExpertTensors {
  const { checker, at, family, config: { experts } } = reader;
  const isDense = experts === null || reader.index < experts.leadingDenseCount ||
    (reader.index + 1) % (experts.period ?? 1) !== 0 ||
    (family.experts?.areInTurns || isGuessing(reader)) && !checker.has(`${at}ffn_gate_inp.weight`);
  return isDense ? denseTensors(reader) : expertTensors(reader, experts);
}

/** The layer behind the model's: that of a mixture may be dense. */
function isGuessing({ index, config: { blockCount, guess } }: LayerReader): boolean {
  return guess !== undefined && index === blockCount;
}

/** Separate tensors, or one that holds the rows of the gate, then those of up. */
function denseTensors(reader: LayerReader): DenseTensors {
  const { config, family } = reader;
  const { embeddingLength: width, feedForwardLength: neurons, feedForward: { isGated } } = config;
  const inner = { rows: neurons, columns: width };
  if (config.stateSpace?.timeMix?.shiftsNeurons) {
    const { checker, at } = reader;
    return {
      kind: "dense",
      gate: null,
      up: checker.matrix(`${at}channel_mix_key.weight`, inner),
      down: checker.matrix(`${at}channel_mix_value.weight`, { rows: width, columns: neurons }),
      isDownTransposed: false,
      predictor: null,
    };
  }
  if (isGated && areFused(reader)) {
    const fused = readMatrix(reader, "ffn_up", { rows: 2 * neurons, columns: width });
    return {
      kind: "dense",
      gate: rowsOf(fused, 0, neurons),
      up: rowsOf(fused, neurons, neurons),
      ...downTensor(reader),
      predictor: predictorTensors(reader),
    };
  }
  return {
    kind: "dense",
    gate: isGated ? readMatrix(reader, "ffn_gate", inner) : null,
    up: readMatrix(reader, "ffn_up", inner),
    ...downTensor(reader),
    ...family.hasInnerNorms && {
      innerNorm: reader.checker.vector(`${reader.at}ffn_sub_norm.weight`, neurons),
    },
    predictor: predictorTensors(reader),
  };
}

function areFused({ checker, family, at }: LayerReader): boolean {
  const { fusesGateAndUp: said } = family;
  return said === "said" ? !checker.has(`${at}ffn_gate.weight`) : said;
}

/** Under its usual name, or with a neuron's weights side by side, as PowerInfer stores it. */
function downTensor(
  reader: LayerReader,
): Pick<DenseTensors, "down" | "isDownTransposed"> {
  const { checker, at, config: { embeddingLength: width, feedForwardLength: neurons } } = reader;
  const transposed = `${at}ffn_down_t.weight`;
  if (checker.has(transposed)) {
    return {
      down: checker.matrix(transposed, { rows: neurons, columns: width }),
      isDownTransposed: true,
    };
  }
  return {
    down: readMatrix(reader, "ffn_down", { rows: width, columns: neurons }),
    isDownTransposed: false,
  };
}

function expertTensors(reader: LayerReader, experts: ExpertsConfig): ExpertTensors {
  const { checker, config, at } = reader;
  const { embeddingLength, feedForward: { isGated } } = config;
  const { count, feedForwardLength: neurons, latentLength } = experts;
  const width = latentLength ?? embeddingLength;
  const inner = { rows: neurons, columns: width, count };
  const gates = isGated ? expertMatrices(reader, "ffn_gate", inner) : null;
  const ups = expertMatrices(reader, "ffn_up", inner);
  const downs = expertMatrices(reader, "ffn_down", { rows: width, columns: neurons, count });
  const predictors = expertPredictors(reader, experts);
  const isListed = reader.index < (experts.listedLayers ?? 0);
  const first = firstMixture(config) + (experts.listedLayers ?? 0);
  const choiceBias = ["exp_probs_b.bias", "exp_probs_b"]
    .find((name) => !isListed && checker.has(`blk.${first}.${name}`));
  return {
    kind: "experts",
    router: readMatrix(reader, "ffn_gate_inp", { rows: count, columns: embeddingLength }),
    choiceBias: choiceBias === undefined ? null : checker.vector(at + choiceBias, count),
    ...isListed && {
      expertsOfTokens: checker.table(
        `${at}ffn_gate_tid2eid.weight`,
        experts.usedCount,
        config.vocabSize,
      ),
    },
    experts: ups.map((up, index) => ({
      kind: "dense",
      gate: gates && gates[index],
      up,
      down: { ...downs[index], bias: null },
      isDownTransposed: false,
      predictor: predictors && predictors[index],
    })),
    downBiases: expertBiases(reader, "ffn_down_exps", { length: width, count }),
    scales: checker.has(`${at}ffn_down_exps.scale`)
      ? checker.vector(`${at}ffn_down_exps.scale`, count)
      : null,
    apart: apartTensors(reader),
    ...latentLength !== undefined && { latent: latentTensors(reader, latentLength) },
    ...experts.routerInput === "ownNorm" && {
      inputNorm: {
        weight: checker.vector(`${at}ffn_norm_exps.weight`, embeddingLength),
        bias: null,
      },
    },
    ...experts.companions && { companions: companionTensors(reader, experts) },
    ...sharedExpert(reader, experts.sharedFeedForwardLength),
  };
}

/** All mixtures are like the first. */
function latentTensors(
  { checker, config, family, at }: LayerReader,
  length: number,
): ExpertTensors["latent"] {
  const { embeddingLength: width } = config;
  const { tensors, mayNormalize } = family.experts!.latents!;
  const norm = `${tensors}_norm.weight`;
  const hasNorm = mayNormalize && checker.has(`blk.${firstMixture(config)}.${norm}`);
  return {
    down: checker.matrix(`${at}${tensors}_down.weight`, { rows: length, columns: width }),
    norm: hasNorm ? checker.vector(at + norm, length) : null,
    up: checker.matrix(`${at}${tensors}_up.weight`, { rows: width, columns: length }),
  };
}

/** Of each kind one tensor, one companion behind the other; they have no biases. */
function companionTensors(
  { checker, config: { embeddingLength: width, feedForward: { isGated } }, at }: LayerReader,
  { count: experts, companions }: ExpertsConfig,
): readonly DenseTensors[] {
  const { groupSize, feedForwardLength: neurons } = companions!;
  const count = experts / groupSize;
  const all = (name: string, rows: number, columns: number) => ({
    ...checker.matrix(`${at}${name}_chexps.weight`, { rows, columns, count }),
    bias: null,
  });
  const gates = isGated ? all("ffn_gate", neurons, width) : null;
  const [ups, downs] = [all("ffn_up", neurons, width), all("ffn_down", width, neurons)];
  return Array.from({ length: count }, (_, index) => ({
    kind: "dense",
    gate: gates && rowsOf(gates, index * neurons, neurons),
    up: rowsOf(ups, index * neurons, neurons),
    down: rowsOf(downs, index * width, width),
    isDownTransposed: false,
    predictor: null,
  }));
}

/** One tensor with an expert behind the other, or, until 2024, a tensor for each. */
function expertMatrices(
  reader: LayerReader,
  name: "ffn_gate" | "ffn_up" | "ffn_down",
  { rows, columns, count }: Required<MatrixShape>,
): readonly MatrixTensor[] {
  const { checker, at } = reader;
  const indices = Array.from({ length: count }, (_, index) => index);
  if (checker.has(`${at}${name}.0.weight`)) {
    const nameOf = (index: number) => `${at}${name}.${index}.weight`;
    return indices.map((index) => checker.matrix(nameOf(index), { rows, columns }));
  }
  if (name !== "ffn_down" && checker.has(`${at}ffn_gate_up_exps.weight`)) {
    return fusedExperts(reader, { rows, columns, count }).map((both) =>
      rowsOf(both, name === "ffn_gate" ? 0 : rows, rows)
    );
  }
  const all = {
    ...checker.matrix(`${at}${name}_exps.weight`, { rows, columns, count }),
    bias: expertBiases(reader, `${name}_exps`, { length: rows, count }),
  };
  return indices.map((index) => rowsOf(all, index * rows, rows));
}

/** Of each expert one matrix: the rows of its gate, then those of its up. */
function fusedExperts(
  { checker, at }: LayerReader,
  { rows, columns, count }: Required<MatrixShape>,
): readonly MatrixTensor[] {
  const shape = { rows: 2 * rows, columns, count };
  const all = checker.matrix(`${at}ffn_gate_up_exps.weight`, shape);
  return Array.from({ length: count }, (_, index) => rowsOf(all, index * 2 * rows, 2 * rows));
}

/** Number of the first layer with experts. */
function firstMixture({ experts, layers }: LayerReader["config"]): number {
  const leading = experts?.leadingDenseCount ?? 0;
  return layers.findIndex(({ hasNeurons }, index) => index >= leading && hasNeurons !== false);
}

/** Those of all experts, one after the other: all mixtures are like the first. */
function expertBiases(
  { checker, config, family, at }: LayerReader,
  name: "ffn_gate_exps" | "ffn_up_exps" | "ffn_down_exps",
  { length, count }: { length: number; count: number },
): VectorTensor | null {
  const first = `blk.${firstMixture(config)}.${name}.bias`;
  const areThere = family.requiredBiases.includes(name) || checker.has(first);
  return areThere ? checker.vector(`${at}${name}.bias`, length, count) : null;
}

/** Norms of experts, the shared one and the router, in families where they have their own. */
function apartTensors({ checker, config, family, at }: LayerReader): ApartTensors | null {
  if (family.experts?.sharedExpert !== "apart") return null;
  const norm = (name: string) => (
    { weight: checker.vector(`${at}${name}`, config.embeddingLength), bias: null }
  );
  return {
    routerNorm: norm("ffn_gate_inp.scale"),
    sharedNorm: norm("ffn_norm.weight"),
    sharedPostNorm: norm("post_ffw_norm_1.weight"),
    expertsPostNorm: norm("post_ffw_norm_2.weight"),
  };
}

function sharedExpert({ checker, config, family, at }: LayerReader, neurons: number) {
  if (neurons === 0) return { shared: null, sharedGate: null };
  const { embeddingLength: width, feedForward: { isGated } } = config;
  const inner = { rows: neurons, columns: width };
  const kind = family.experts?.sharedExpert;
  const suffix = kind === "dense" || kind === "apart" ? ".weight" : "_shexp.weight";
  const isFused = isGated && !checker.has(`${at}ffn_gate${suffix}`);
  const both = { rows: isFused ? 2 * neurons : neurons, columns: width };
  const up = checker.matrix(`${at}ffn_up${suffix}`, both);
  const shared: DenseTensors = {
    kind: "dense",
    gate: !isGated
      ? null
      : isFused
      ? rowsOf(up, 0, neurons)
      : checker.matrix(`${at}ffn_gate${suffix}`, inner),
    up: isFused ? rowsOf(up, neurons, neurons) : up,
    down: checker.matrix(`${at}ffn_down${suffix}`, { rows: width, columns: neurons }),
    isDownTransposed: false,
    predictor: null,
  };
  if (kind !== "gated") return { shared, sharedGate: null };
  const gate = { rows: 1, columns: width };
  return { shared, sharedGate: checker.matrix(at + "ffn_gate_inp_shexp.weight", gate) };
}
