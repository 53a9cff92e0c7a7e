/** One channel of a frame of FLAC: what predicts it, and what that is wrong by. */
import type { BitReader } from "./bit_reader.ts";

const CONSTANT = 0;
const VERBATIM = 1;
/** Predictors that are known: differences of differences. */
const FIXED = 8;
const FIXED_ORDER_MAX = 4;
/** Predictors that the frame brings. */
const LINEAR = 32;

const FIXED_WEIGHTS: readonly (readonly number[])[] = [
  [],
  [1],
  [2, -1],
  [3, -3, 1],
  [4, -6, 4, -1],
];

/** Reads as many samples as `values` has room for, whole numbers of so many bits. */
export function readSubframe(bits: BitReader, values: Float64Array, bitCount: number): void {
  if (bits.read(1) !== 0) throw bits.damaged("a channel of a frame begins with a one");
  const kind = bits.read(6);
  // Bits at the end that are zeros in all samples.
  const wasted = bits.read(1) === 0 ? 0 : bits.zeros() + 1;
  const own = bitCount - wasted;
  if (own < 1) throw bits.damaged(`samples of ${bitCount} bits waste ${wasted}`);
  if (kind === CONSTANT) values.fill(bits.readSigned(own));
  else if (kind === VERBATIM) readValues(bits, values, own);
  else if (kind >= LINEAR) readLinear(bits, values, { order: kind - LINEAR + 1, bitCount: own });
  else if (kind >= FIXED && kind <= FIXED + FIXED_ORDER_MAX) {
    const order = kind - FIXED;
    readFirst(bits, values, { order, bitCount: own });
    readResidual(bits, values, order);
    predict(values, FIXED_WEIGHTS[order], 0);
  } else throw bits.damaged(`a channel of a frame is of the unknown kind ${kind}`);
  if (wasted === 0) return;
  for (let i = 0; i < values.length; i++) values[i] *= 2 ** wasted;
}

interface Predicted {
  readonly order: number;
  readonly bitCount: number;
}

function readLinear(bits: BitReader, values: Float64Array, of: Predicted): void {
  readFirst(bits, values, of);
  const weightBits = bits.read(4) + 1;
  if (weightBits === 16) throw bits.damaged("a predictor has weights of no size");
  const shift = bits.readSigned(5);
  if (shift < 0) throw bits.damaged("a predictor is shifted to the left");
  const weights = Array.from({ length: of.order }, () => bits.readSigned(weightBits));
  readResidual(bits, values, of.order);
  predict(values, weights, shift);
}

/** Those that nothing predicts. */
function readFirst(bits: BitReader, values: Float64Array, { order, bitCount }: Predicted): void {
  if (order > values.length) {
    throw bits.damaged(`a predictor of ${order} samples stands in a frame of ${values.length}`);
  }
  readValues(bits, values.subarray(0, order), bitCount);
}

function readValues(bits: BitReader, values: Float64Array, bitCount: number): void {
  for (let i = 0; i < values.length; i++) values[i] = bits.readSigned(bitCount);
}

/** What predictions are wrong by, in parts of the same length, each with its own Rice parameter. */
function readResidual(bits: BitReader, values: Float64Array, order: number): void {
  const method = bits.read(2);
  if (method > 1) throw bits.damaged(`what is left of a frame is coded as ${method}`);
  const parameterBits = method === 0 ? 4 : 5;
  const parts = 1 << bits.read(4), length = values.length / parts;
  if (!Number.isInteger(length) || length < order) {
    throw bits.damaged(`a frame of ${values.length} samples is in ${parts} parts`);
  }
  for (let part = 0, i = order; part < parts; part++) {
    const end = (part + 1) * length;
    const parameter = bits.read(parameterBits);
    if (parameter === (1 << parameterBits) - 1) {
      const own = bits.read(5);
      for (; i < end; i++) values[i] = bits.readSigned(own);
    } else for (; i < end; i++) values[i] = bits.readRice(parameter);
  }
}

/** Adds to each what the ones before it say: sums are below 2^53, and shifted as whole numbers. */
function predict(values: Float64Array, weights: readonly number[], shift: number): void {
  const scale = 2 ** -shift;
  for (let i = weights.length; i < values.length; i++) {
    let sum = 0;
    for (let tap = 0; tap < weights.length; tap++) sum += weights[tap] * values[i - 1 - tap];
    values[i] += Math.floor(sum * scale);
  }
}
