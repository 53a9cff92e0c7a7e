/**
 * The tables of a packed file: a record for each unit, the order of each unit's neurons, and how
 * often they fire. Records repeat what follows from the model's tensors, so that a file of another
 * mind is noticed; orders are believed only when they are permutations.
 */
import { check } from "../base/check.ts";
import type { UnitPlace } from "./file_layout.ts";
import { damaged, REPACK } from "./format.ts";
import type { BundlePart, BundleUnit } from "./types.ts";
import { nameOfUnit, type UnitShape } from "./units.ts";

/** u32: layer, expert, neurons, stripes, layout of down, restOffsetBytes, bundleBytes, 0. */
const COUNTS_BYTES = 8 * 4;
/** u64: bundles, factors, size of factors. */
const PLACES_BYTES = 3 * 8;
/** u32 each of gate, up, down: number of the tensor, offset, size. */
const PARTS_BYTES = 3 * 3 * 4;
const RECORD_BYTES = COUNTS_BYTES + PLACES_BYTES + PARTS_BYTES;
const NONE = 0xffffffff;
const SHARED = 0xfffffffe;

/** What is known of each neuron of a unit, by position. */
export type UnitOrder = Pick<BundleUnit, "order" | "rates">;

/** Bytes of the tables. */
export function tableSize(units: readonly UnitShape[], hasRates: boolean): number {
  const neurons = units.reduce((sum, unit) => sum + unit.neurons, 0);
  return units.length * RECORD_BYTES + neurons * (hasRates ? 8 : 4);
}

export interface TableInput {
  readonly shapes: readonly UnitShape[];
  readonly places: readonly Pick<UnitPlace, "offsetBytes" | "factorsOffsetBytes">[];
  /** Numbers of tensors. */
  readonly tensorIndex: ReadonlyMap<string, number>;
}

/** The bytes of the tables. */
export function encodeTable(
  input: TableInput,
  orders: readonly UnitOrder[],
): Uint8Array<ArrayBuffer> {
  const hasRates = orders.some(({ rates }) => rates !== null);
  const bytes = new Uint8Array(tableSize(input.shapes, hasRates));
  bytes.set(encodeRecords(input));
  let at = input.shapes.length * RECORD_BYTES;
  const put = (values: Uint32Array | Float32Array) => {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  };
  for (const { order } of orders) put(order);
  if (hasRates) {
    for (const { rates } of orders) {
      check(rates !== null, "all units have rates, or none");
      put(rates);
    }
  }
  return bytes;
}

/**
 * The units of a file.
 * @param bytes tableSize() bytes; orders and rates are views of them.
 * @throws {ModelFormatError} when a record differs from what the model asks for, an order is no
 *   permutation within its stripes, or a rate no share.
 */
export function decodeTable(
  bytes: Uint8Array,
  input: TableInput & { hasRates: boolean },
  at: { path: string; offsetBytes: number },
): BundleUnit[] {
  const { shapes, places, hasRates } = input;
  const expected = encodeRecords(input);
  const differing = expected.findIndex((byte, index) => byte !== bytes[index]);
  if (differing >= 0) {
    const unit = shapes[Math.floor(differing / RECORD_BYTES)];
    const state = `${nameOfUnit(unit)} lies otherwise than this version reads it: ${REPACK}`;
    throw damaged(at.path, at.offsetBytes + differing, state);
  }
  const neurons = shapes.reduce((sum, unit) => sum + unit.neurons, 0);
  let begin = bytes.byteOffset + expected.length;
  return shapes.map((shape, index): BundleUnit => {
    const order = new Uint32Array(bytes.buffer, begin, shape.neurons);
    const rates = hasRates
      ? new Float32Array(bytes.buffer, begin + 4 * neurons, shape.neurons)
      : null;
    const fault = faultOf(shape, { order, rates });
    if (fault !== null) {
      const offset = at.offsetBytes + begin - bytes.byteOffset;
      throw damaged(at.path, offset, `${nameOfUnit(shape)} ${fault}: ${REPACK}`);
    }
    begin += 4 * shape.neurons;
    const { factorsOffsetBytes, offsetBytes } = places[index];
    return { ...shape, offsetBytes, factorsOffsetBytes, order, rates };
  });
}

/** What is wrong with a unit's order or rates; null: nothing. */
function faultOf({ neurons, stripes }: UnitShape, { order, rates }: UnitOrder): string | null {
  const each = neurons / stripes;
  const isThere = new Uint8Array(neurons);
  for (let position = 0; position < neurons; position++) {
    const neuron = order[position];
    // An undefined mark of a neuron that is none is no 0, either.
    if (isThere[neuron] !== 0) return `names neuron ${neuron} wrongly at position ${position}`;
    const isOutside = Math.floor(neuron / each) !== Math.floor(position / each);
    if (isOutside) return `has neuron ${neuron} in another stripe, at position ${position}`;
    isThere[neuron] = 1;
  }
  const wrong = rates?.findIndex((rate) => !(rate >= 0 && rate <= 1)) ?? -1;
  return wrong < 0 ? null : `says that position ${wrong} fires for ${rates![wrong]} of all tokens`;
}

function encodeRecords({ shapes, places, tensorIndex }: TableInput): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(shapes.length * RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  const indexOf = (part: BundlePart) => {
    const index = tensorIndex.get(part.tensor);
    check(index !== undefined, `tensor ${part.tensor} of a unit is in the file`);
    return index;
  };
  shapes.forEach((shape, unit) => {
    const { layer, expert, neurons, stripes, downLayout, restOffsetBytes, bundleBytes } = shape;
    const { offsetBytes, factorsOffsetBytes } = places[unit];
    const begin = unit * RECORD_BYTES;
    const number = expert === null ? NONE : expert === "shared" ? SHARED : expert;
    const layout = downLayout === "columns" ? 0 : 1;
    [layer, number, neurons, stripes, layout, restOffsetBytes, bundleBytes, 0].forEach((value, i) =>
      view.setUint32(begin + 4 * i, value, true)
    );
    [offsetBytes, factorsOffsetBytes, shape.factorsSizeBytes].forEach((value, i) =>
      view.setBigUint64(begin + COUNTS_BYTES + 8 * i, BigInt(value), true)
    );
    [shape.gate, shape.up, shape.down].forEach((part, i) => {
      const numbers = part === null
        ? [NONE, 0, 0]
        : [indexOf(part), part.offsetBytes, part.sizeBytes];
      const to = begin + COUNTS_BYTES + PLACES_BYTES + 12 * i;
      numbers.forEach((value, j) => view.setUint32(to + 4 * j, value, true));
    });
  });
  return bytes;
}
