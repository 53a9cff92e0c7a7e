/**
 * Columns of a matrix that lies by columns (src/memory/column_layout.ts) as numbers: what single
 * neurons of a packed file give to all outputs, wherever columns as numbers are wanted. A weight is
 * scale · (code − offset) + minimum; what scale and minimum are made of is the type's. Slow.
 */
import { check } from "../../base/check.ts";
import { BLOCK_WEIGHTS, SUPERBLOCK_BLOCKS } from "../../memory/row_layout.ts";
import type { WeightType } from "../plan/weight_types.ts";

/** Rows whose codes lie together, and their 16-bit lanes in one or two groups of 32 bytes. */
const GROUP_ROWS = 64;
const LANES = 16;

/** How factors of 32 columns lie, behind those of their superblock: each [rows]. */
type Factors =
  | "scale" // f16
  | "scaleAndMinimum" // f16, f16
  | "exponent" // the upper half of an f32
  | "halves" // int8 of the first 16 columns, int8 of the others; in front f32
  | "scaleAndLess"; // u8, u8; in front f32, f32

interface ColumnType {
  /** Of a code: 4 or 8. */
  readonly bits: number;
  readonly offset: number;
  readonly factors: Factors;
  /** Codes stand for these less the offset; left out: for themselves. */
  readonly levels?: Uint8Array;
}

const TYPES: Readonly<Record<string, ColumnType>> = {
  Q4_0: { bits: 4, offset: 8, factors: "scale" },
  Q4_1: { bits: 4, offset: 0, factors: "scaleAndMinimum" },
  E0M4: { bits: 4, offset: 0, factors: "scaleAndMinimum" },
  Q5_0: { bits: 8, offset: 16, factors: "scale" },
  Q8_0: { bits: 8, offset: 128, factors: "scale" },
  MXFP4: {
    bits: 4,
    offset: 12,
    factors: "exponent",
    levels: Uint8Array.of(0, 4, 6, 8, 9, 10, 11, 12, 12, 13, 14, 15, 16, 18, 20, 24),
  },
  Q3_K: { bits: 4, offset: 4, factors: "halves" },
  Q6_K: { bits: 8, offset: 32, factors: "halves" },
  Q4_K: { bits: 4, offset: 0, factors: "scaleAndLess" },
  Q5_K: { bits: 8, offset: 0, factors: "scaleAndLess" },
};

/** Bytes of a row's factors: in front of a superblock, and of a block. */
const FACTOR_BYTES: Readonly<Record<Factors, readonly [number, number]>> = {
  scale: [0, 2],
  scaleAndMinimum: [0, 4],
  exponent: [0, 2],
  halves: [4, 2],
  scaleAndLess: [8, 2],
};

/** True where columns of that type can be had as numbers. */
export function hasColumnValues(type: string): boolean {
  return type in TYPES;
}

export class ColumnValues {
  readonly #type: ColumnType;
  /** Of a column. */
  readonly #rows: number;
  /** All columns' factors. */
  readonly #factors: DataView;
  /** Of 16 columns, by row. */
  readonly #scales: Float32Array;
  readonly #minima: Float32Array;
  #half = -1;

  /** factors: of all columns of a matrix of `rows` rows, as they lie behind its codes. */
  constructor(type: WeightType, rows: number, factors: Uint8Array) {
    check(hasColumnValues(type) && rows % GROUP_ROWS === 0, `${type} lies by columns`);
    this.#type = TYPES[type];
    this.#rows = rows;
    this.#factors = new DataView(factors.buffer, factors.byteOffset, factors.byteLength);
    this.#scales = new Float32Array(rows);
    this.#minima = new Float32Array(rows);
  }

  /**
   * Rows first .. end-1, whole groups of 64, of column `column`, whose codes these are: row r goes
   * to into[(r − first) · stride + at]. Quick where neighbours follow one another.
   */
  write(
    codes: Uint8Array,
    column: number,
    { first, end, into, stride, at }: {
      first: number;
      end: number;
      into: Float32Array;
      stride: number;
      at: number;
    },
  ): void {
    const { bits, offset, levels } = this.#type;
    this.#readFactors(Math.floor(2 * column / BLOCK_WEIGHTS));
    const [scales, minima] = [this.#scales, this.#minima];
    const put = (row: number, code: number) => {
      const level = (levels === undefined ? code : levels[code]) - offset;
      into[(row - first) * stride + at] = level * scales[row] + minima[row];
    };
    for (let group = first; group < end; group += GROUP_ROWS) {
      const from = group * bits / 8;
      for (let lane = 0; lane < LANES; lane++) {
        const row = group + 8 * (lane & 1) + 4 * (lane >> 3) + ((lane & 7) >> 1);
        const low = codes[from + 2 * lane];
        const high = codes[from + 2 * lane + 1];
        if (bits === 8) {
          put(row, low);
          put(row + 16, high);
          put(row + 32, codes[from + 32 + 2 * lane]);
          put(row + 48, codes[from + 33 + 2 * lane]);
        } else {
          put(row, low & 15);
          put(row + 16, low >> 4);
          put(row + 32, high & 15);
          put(row + 48, high >> 4);
        }
      }
    }
  }

  /** Of 16 columns, the half-th so many of the matrix. */
  #readFactors(half: number): void {
    if (half === this.#half) return;
    this.#half = half;
    const { factors } = this.#type;
    const [headBytes, blockBytes] = FACTOR_BYTES[factors];
    const rows = this.#rows;
    const block = half >> 1;
    const superblock = Math.floor(block / SUPERBLOCK_BLOCKS);
    const head = superblock * rows * (headBytes + SUPERBLOCK_BLOCKS * blockBytes);
    const own = head + rows * (headBytes + block % SUPERBLOCK_BLOCKS * blockBytes);
    const view = this.#factors;
    for (let row = 0; row < rows; row++) {
      let [scale, minimum] = [0, 0];
      if (factors === "scale") scale = view.getFloat16(own + 2 * row, true);
      else if (factors === "scaleAndMinimum") {
        scale = view.getFloat16(own + 2 * row, true);
        minimum = view.getFloat16(own + 2 * (rows + row), true);
      } else if (factors === "exponent") scale = upperHalf(view.getUint16(own + 2 * row, true));
      else if (factors === "halves") {
        const small = view.getInt8(own + (half & 1) * rows + row);
        scale = view.getFloat32(head + 4 * row, true) * small;
      } else {
        scale = view.getFloat32(head + 4 * row, true) * view.getUint8(own + row);
        minimum = view.getFloat32(head + 4 * (rows + row), true) * view.getUint8(own + rows + row);
      }
      this.#scales[row] = scale;
      this.#minima[row] = minimum;
    }
  }
}

const WORD = new DataView(new ArrayBuffer(4));

/** The f32 whose upper 16 bits these are, the others 0. */
function upperHalf(bits: number): number {
  WORD.setUint16(2, bits, true);
  return WORD.getFloat32(0, true);
}
