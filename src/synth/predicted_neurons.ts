/**
 * Neurons that a small network predicts, by construction instead of by training.
 *
 * A gate row is one of a few random directions over the first half of the columns and one of a few
 * over the second half. The network's first map holds all directions and their opposites, so that
 * behind ReLU `relu(a) − relu(−a) = a`, and the constant of sparse models; the second map adds up
 * the two directions of each neuron and its threshold. It reads the residual stream where the gate
 * reads its norm: one factor apart, which has no say in the sign.
 */
import { check } from "../base/check.ts";
import { dtypeByName, rowBytes } from "../model/dtypes.ts";
import { dequantizeInto } from "../model/mod.ts";
import { encodeWeights, encodeWeightsInto, type WeightType } from "../quantize/mod.ts";
import { batchRows, CONSTANT_DIMENSIONS, HeadWriter } from "./rows.ts";
import type { SeededRandom } from "./seeded_random.ts";
import type { FiringThresholds } from "./sparsity.ts";
import type { WeightPool } from "./weight_pool.ts";

/** Hidden units that share a block, of every type that predictors have. */
const UNIT_BLOCK = 32;
/**
 * How much lower the predictor's thresholds are, in standard deviations of a gate: rounding must
 * not lose neurons. It predicts a tenth more than fire at a sparsity of 0.9.
 */
const MARGIN = 0.05;

/** The gate matrix whose rows are to be predicted. */
export interface GateShape {
  readonly type: WeightType;
  readonly columns: number;
  readonly neurons: number;
}

/** Where random numbers come from. */
export interface NeuronSources {
  /** Hidden units of the predictor, a multiple of 32. */
  readonly rank: number;
  /** Blocks of the gate's type. */
  readonly pool: WeightPool;
  readonly thresholds: FiringThresholds;
  readonly random: SeededRandom;
}

/** Directions over some of the columns. */
interface Segment {
  readonly firstColumn: number;
  readonly columns: number;
  /** Blocks of the gate's type, direction by direction. */
  readonly directions: Uint8Array;
  /** Bytes of one. */
  readonly directionBytes: number;
  /** Which direction each neuron has. */
  readonly chosen: Uint16Array;
}

/** The neurons of one block, or of one expert; give the gate first, for the rest follows it. */
export class PredictedNeurons {
  readonly #gate: GateShape;
  readonly #rank: number;
  /** How many directions each half of the columns has. */
  readonly #directionCount: number;
  readonly #segments: readonly Segment[];
  /** By how many standard deviations a gate lies below zero, as its type can say it. */
  readonly #thresholds: Float32Array;

  constructor(gate: GateShape, { rank, pool, thresholds, random }: NeuronSources) {
    this.#gate = gate;
    this.#rank = rank;
    // Four groups of units, each beginning with a block, and one block for the constant.
    this.#directionCount = UNIT_BLOCK * Math.floor((rank / UNIT_BLOCK - 1) / 4);
    check(this.#directionCount > 0 && rank % UNIT_BLOCK === 0, `a predictor of rank ${rank}`);
    const step = Math.max(UNIT_BLOCK, dtypeByName(gate.type)!.blockElements);
    const middle = Math.floor(gate.columns / 2 / step) * step;
    check(middle > 0, `two halves of ${gate.columns} columns`);
    this.#segments = [[0, middle], [middle, gate.columns]].map(([first, end]): Segment => {
      const directionBytes = rowBytes(gate.type, end - first);
      const directions = new Uint8Array(this.#directionCount * directionBytes);
      pool.fill(directions);
      const chosen = new Uint16Array(gate.neurons);
      for (let i = 0; i < chosen.length; i++) chosen[i] = random.below(this.#directionCount);
      return { firstColumn: first, columns: end - first, directions, directionBytes, chosen };
    });
    this.#thresholds = new Float32Array(gate.neurons);
    for (let i = 0; i < gate.neurons; i++) this.#thresholds[i] = thresholds.next(random);
  }

  /** The gate matrix, [neurons, columns]. */
  gateRows(): Iterable<Uint8Array> {
    const { type, columns, neurons: rowCount } = this.#gate;
    const heads = new HeadWriter(type);
    return batchRows({ bytesPerRow: rowBytes(type, columns), rowCount }, (into, neuron) => {
      for (const segment of this.#segments) {
        const direction = directionAt(segment, segment.chosen[neuron]);
        into.set(direction, rowBytes(type, segment.firstColumn));
      }
      heads.write(into, -this.#thresholds[neuron]);
      this.#thresholds[neuron] = -heads.read(into);
    });
  }

  /**
   * The first map, [rank, columns]: directions and opposites of the first half, of the second half,
   * units that nobody listens to, and in the last block the constant.
   */
  inputRows(type: WeightType, pool: WeightPool): Iterable<Uint8Array> {
    const { columns } = this.#gate;
    const count = this.#directionCount;
    const zeros = encodeWeights(type, new Float32Array(columns));
    const constant = new Float32Array(columns).fill(
      1 / CONSTANT_DIMENSIONS,
      0,
      CONSTANT_DIMENSIONS,
    );
    const rows = { bytesPerRow: zeros.length, rowCount: this.#rank };
    return batchRows(rows, (into, unit) => {
      const group = Math.floor(unit / count);
      if (unit === this.#constantUnit) encodeWeightsInto(type, constant, into);
      else if (group > 3) pool.fill(into);
      else {
        const segment = this.#segments[group >> 1];
        const bytes = this.#directionAs(type, segment, unit % count);
        if (group % 2 === 1) negate(type, bytes);
        into.set(zeros);
        into.set(bytes, rowBytes(type, segment.firstColumn));
        into.set(zeros.subarray(0, rowBytes(type, CONSTANT_DIMENSIONS)));
      }
    });
  }

  /** The second map, [neurons, rank]. */
  outputRows(type: WeightType): Iterable<Uint8Array> {
    const count = this.#directionCount;
    const zeros = encodeWeights(type, new Float32Array(this.#rank));
    const cells = new UnitCells(type);
    const rows = { bytesPerRow: zeros.length, rowCount: this.#gate.neurons };
    return batchRows(rows, (into, neuron) => {
      into.set(zeros);
      this.#segments.forEach(({ chosen }, index) => {
        const unit = 2 * index * count + chosen[neuron];
        cells.put(into, unit, 1);
        cells.put(into, unit + count, -1);
      });
      cells.encode(into, this.#constantUnit, MARGIN - this.#thresholds[neuron]);
    });
  }

  get #constantUnit(): number {
    return this.#rank - UNIT_BLOCK;
  }

  /** A direction in the predictor's type: the very bits where the gate has the same. */
  #directionAs(type: WeightType, segment: Segment, index: number): Uint8Array {
    const bytes = directionAt(segment, index);
    if (type === this.#gate.type) return bytes.slice();
    const weights = new Float32Array(segment.columns);
    dequantizeInto(this.#gate.type, bytes, weights);
    return encodeWeights(type, weights);
  }
}

function directionAt({ directions, directionBytes }: Segment, index: number): Uint8Array {
  return directions.subarray(index * directionBytes, (index + 1) * directionBytes);
}

/** Changes the sign of every weight: of its own bit, or of its block's scale. */
function negate(type: WeightType, bytes: Uint8Array): void {
  const { blockBytes } = dtypeByName(type)!;
  const signByte = type === "F32" ? 3 : 1;
  for (let at = signByte; at < bytes.length; at += blockBytes) bytes[at] ^= 0x80;
}

/** Blocks of 32 units of which one has a weight. */
class UnitCells {
  readonly #type: WeightType;
  readonly #bytes: number;
  /** Encoded blocks with 1 and with −1 at each place. */
  readonly #ones: ReadonlyMap<number, readonly Uint8Array[]>;

  constructor(type: WeightType) {
    this.#type = type;
    this.#bytes = rowBytes(type, UNIT_BLOCK);
    this.#ones = new Map([1, -1].map((weight) => [
      weight,
      Array.from({ length: UNIT_BLOCK }, (_, place) => this.#cell(place, weight)),
    ]));
  }

  /** Gives a unit the weight 1 or −1, which every type says exactly. */
  put(row: Uint8Array, unit: number, weight: 1 | -1): void {
    row.set(this.#ones.get(weight)![unit % UNIT_BLOCK], this.#at(unit));
  }

  /** Gives a unit any weight. */
  encode(row: Uint8Array, unit: number, weight: number): void {
    row.set(this.#cell(unit % UNIT_BLOCK, weight), this.#at(unit));
  }

  #at(unit: number): number {
    return Math.floor(unit / UNIT_BLOCK) * this.#bytes;
  }

  #cell(place: number, weight: number): Uint8Array {
    const weights = new Float32Array(UNIT_BLOCK);
    weights[place] = weight;
    return encodeWeights(this.#type, weights);
  }
}
