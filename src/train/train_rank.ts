/**
 * Trains a predictor of a given rank on a layer's samples, and stores it so that it reaches a
 * recall: DejaVu's recipe (two layers without bias, weighted cross-entropy, AdamW, 5 % held back),
 * with two differences. The best epoch is the one that predicts the fewest neurons at the wanted
 * recall, because recall alone is best when everything is predicted. And scores are shifted at the
 * end so that the stored matrices reach that recall with the threshold 0.
 */
import { check } from "../base/check.ts";
import { dequantizeInto } from "../model/mod.ts";
import { SeededRandom } from "../synth/seeded_random.ts";
import { AdamW, type Parameters } from "./adamw.ts";
import { encodeMatrix } from "./encode_matrix.ts";
import { measureInputScale } from "./input_scale.ts";
import { negativeWeightOf } from "./loss.ts";
import type { PredictorNetwork } from "./network.ts";
import { type BlockSamples, firingRates, type SampleSplit } from "./samples.ts";
import { type PredictorQuality, ScoreHistogram } from "./score_histogram.ts";
import type { PredictorMatrix, PredictorType, TrainedPredictor } from "./trained_predictor.ts";

/** How to train. */
export interface TrainOptions {
  /** Share of firing neurons that must be predicted, 0..1. */
  readonly recall: number;
  readonly epochs: number;
  readonly seed: number;
  /** Types that a matrix may be stored in: it gets the one that takes fewest bytes in memory. */
  readonly types: readonly PredictorType[];
}

/** Told after each batch how many samples it had; may throw to end the training. */
export type OnBatch = (samples: number) => void;

const WEIGHT_DECAY = 0.01;
/**
 * The largest rate of rows of up to so many columns; longer rows get it in inverse proportion,
 * because every weight of a row moves what the row gives (Yang et al., "Tensor Programs V",
 * arXiv:2203.03466, table 3).
 */
const LEARNING_RATE = 2e-2;
const LEARNING_RATE_COLUMNS = { fc1: 512, fc2: 128 };
const WARM_UP_SHARE = 0.05;
/** The rate at the end, as a share of the largest. */
const FINAL_RATE = 0.03;
/** How often stored matrices are shifted again when storing cost recall. */
const SHIFTS_MAX = 6;
/** Mean of relu(x) of a standard normal x. */
const MEAN_RELU = 0.39894;

/** Trains and stores. The network's weights are overwritten. */
export function trainRank(
  network: PredictorNetwork,
  samples: BlockSamples,
  split: SampleSplit,
  options: TrainOptions,
  onBatch: OnBatch = () => {},
): TrainedPredictor {
  const random = new SeededRandom(options.seed);
  const firing = firingRates(samples, split.training);
  const negativeWeight = negativeWeightOf(mean(firing));
  measureInputScale(network.inputScale, samples, split.training);
  initialise(network, { firing, negativeWeight, random });
  const order = split.training.slice();
  const { batch } = network.plan;
  const batches = Math.floor(order.length / batch);
  check(batches > 0, `${order.length} samples for batches of ${batch}`);
  const optimizer = new AdamW(WEIGHT_DECAY);
  const parameters = parametersOf(network);
  const rates = {
    fc1: largestRate("fc1", samples.inputLength),
    fc2: largestRate("fc2", network.plan.shape.rank),
  };
  const judge = new Judge(network, samples, split.validation);
  const best = { share: Infinity, fc1: network.fc1.slice(), fc2: network.fc2.slice() };
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    shuffle(order, random);
    for (let step = 0; step < batches; step++) {
      const progress = (epoch * batches + step) / (options.epochs * batches);
      const share = rateShare(progress);
      optimizer.beginStep();
      network.begin(samples, order, { first: step * batch, count: batch });
      network.backward(negativeWeight, (matrix, firstRow, gradient) => {
        const { values, stride } = parameters[matrix];
        const rate = share * rates[matrix];
        optimizer.update(values, { first: firstRow * stride, gradient, rate });
      });
      onBatch(batch);
    }
    const histogram = judge.measure();
    const share = histogram.quality(histogram.shiftFor(options.recall)).predictedShare;
    if (share >= best.share) continue;
    best.share = share;
    best.fc1.set(network.fc1);
    best.fc2.set(network.fc2);
  }
  network.fc1.set(best.fc1);
  network.fc2.set(best.fc2);
  foldInputScale(network);
  return store(network, judge, options);
}

/** Scores begin as what the neurons' rates alone say: hidden units add up to a constant, nearly. */
function initialise(
  { plan, fc1, fc2 }: PredictorNetwork,
  { firing, negativeWeight, random }: {
    firing: Float32Array;
    negativeWeight: number;
    random: SeededRandom;
  },
): void {
  const { inputStride, shape: { rank, inputLength } } = plan;
  const fc1Size = 1 / Math.sqrt(inputLength);
  for (let k = 0; k < rank; k++) {
    for (let i = 0; i < inputLength; i++) fc1[k * inputStride + i] = fc1Size * random.normal();
  }
  const fc2Size = 0.5 / Math.sqrt(rank);
  for (let j = 0; j < firing.length; j++) {
    const rate = Math.min(0.999, Math.max(0.001, firing[j]));
    const score = Math.log(rate / ((1 - rate) * negativeWeight));
    for (let k = 0; k < rank; k++) {
      fc2[j * rank + k] = score / (MEAN_RELU * rank) + fc2Size * random.normal();
    }
  }
}

/** Measures a predictor on the samples that were held back. */
class Judge {
  readonly #network: PredictorNetwork;
  readonly #samples: BlockSamples;
  readonly #indices: Int32Array;
  readonly #histogram = new ScoreHistogram();
  readonly #hiddenMeans: Float32Array;

  constructor(network: PredictorNetwork, samples: BlockSamples, indices: Int32Array) {
    this.#network = network;
    this.#samples = samples;
    this.#indices = indices;
    this.#hiddenMeans = new Float32Array(network.plan.batch);
  }

  /** The result is valid until the next call. */
  measure(): ScoreHistogram {
    const { batch, shape: { rank } } = this.#network.plan;
    this.#histogram.clear();
    for (let first = 0; first < this.#indices.length; first += batch) {
      const count = Math.min(batch, this.#indices.length - first);
      this.#network.begin(this.#samples, this.#indices, { first, count });
      const { hidden, labels } = this.#network;
      for (let t = 0; t < count; t++) {
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += hidden[t * rank + k];
        this.#hiddenMeans[t] = sum / rank;
      }
      const about = { labels, hiddenMeans: this.#hiddenMeans, stride: batch, samples: count };
      this.#network.score((scores, neurons) => this.#histogram.add(scores, neurons, about));
    }
    return this.#histogram;
  }
}

/** The largest rate for a matrix with rows of so many columns. */
function largestRate(matrix: "fc1" | "fc2", columns: number): number {
  return LEARNING_RATE * Math.min(1, LEARNING_RATE_COLUMNS[matrix] / columns);
}

/** The share of the largest rate at a point of the training, in 0..1: up a line, down a cosine. */
function rateShare(progress: number): number {
  if (progress < WARM_UP_SHARE) return 0.1 + 0.9 * progress / WARM_UP_SHARE;
  const wave = 0.5 + 0.5 * Math.cos(Math.PI * (progress - WARM_UP_SHARE) / (1 - WARM_UP_SHARE));
  return FINAL_RATE + (1 - FINAL_RATE) * wave;
}

/** From now on the network reads inputs as they are. */
function foldInputScale({ plan, fc1, inputScale }: PredictorNetwork): void {
  const { inputStride, shape: { rank, inputLength } } = plan;
  for (let k = 0; k < rank; k++) {
    for (let i = 0; i < inputLength; i++) fc1[k * inputStride + i] *= inputScale[i];
  }
  inputScale.fill(1);
}

/** Encodes the weights, shifted such that what is stored reaches the recall. */
function store(network: PredictorNetwork, judge: Judge, options: TrainOptions): TrainedPredictor {
  const { inputStride, shape: { rank, inputLength, neuronCount } } = network.plan;
  const rows1 = compactRows(network.fc1, { rows: rank, columns: inputLength, stride: inputStride });
  const rows2 = network.fc2.slice();
  const fc1 = encodeMatrix(rows1, { rows: rank, columns: inputLength }, options.types);
  const stored = new Float32Array(rank * inputLength);
  dequantizeInto(fc1.type, fc1.bytes, stored);
  for (let k = 0; k < rank; k++) {
    network.fc1.set(stored.subarray(k * inputLength, (k + 1) * inputLength), k * inputStride);
  }
  let shift = judge.measure().shiftFor(options.recall);
  let fc2: PredictorMatrix;
  let quality: PredictorQuality;
  for (let attempt = 1;; attempt++) {
    for (let i = 0; i < rows2.length; i++) rows2[i] += shift / rank;
    fc2 = encodeMatrix(rows2, { rows: neuronCount, columns: rank }, options.types);
    dequantizeInto(fc2.type, fc2.bytes, network.fc2);
    const histogram = judge.measure();
    quality = histogram.quality(0);
    shift = histogram.shiftFor(options.recall);
    // Also where there is recall to spare: a little less of it saves neurons.
    if (attempt === SHIFTS_MAX || quality.recall >= options.recall && shift > -SHIFT_SPARE) break;
  }
  return { fc1, fc2, quality };
}

/** Shifts that are not worth another encoding. */
const SHIFT_SPARE = 0.05;

function compactRows(
  values: Float32Array,
  { rows, columns, stride }: { rows: number; columns: number; stride: number },
): Float32Array {
  const compact = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    compact.set(values.subarray(row * stride, row * stride + columns), row * columns);
  }
  return compact;
}

function parametersOf(
  network: PredictorNetwork,
): Record<"fc1" | "fc2", { values: Parameters; stride: number }> {
  const { plan, fc1, fc2 } = network;
  return {
    fc1: {
      values: {
        weights: fc1,
        mean: network.floats(plan.fc1Mean, fc1.length),
        square: network.floats(plan.fc1Square, fc1.length),
      },
      stride: plan.inputStride,
    },
    fc2: {
      values: {
        weights: fc2,
        mean: network.floats(plan.fc2Mean, fc2.length),
        square: network.floats(plan.fc2Square, fc2.length),
      },
      stride: plan.shape.rank,
    },
  };
}

/** Fisher and Yates's. */
function shuffle(order: Int32Array, random: SeededRandom): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
