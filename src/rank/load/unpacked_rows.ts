/**
 * Packed rows (src/memory/row_layout.ts) back into rows of a file, bit for bit: what packs them
 * (`Kernels.repack`) moves bits and nothing else, so where each goes is learnt from it, by packing
 * rows that have a number's bits at each place. Knows no layout, and no type by name.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import { instantiateKernels } from "../../../wasm/mod.ts";
import { alignUp, check } from "../../base/check.ts";
import { PAGE_BYTES } from "../../memory/arena.ts";
import { rowBytes } from "../../model/dtypes.ts";
import {
  blockWeights,
  isQuantType,
  packedRowBytes,
  typeId,
  type WeightType,
} from "../plan/weight_types.ts";

/** Asked for by `Kernels.repack`. */
const SCRATCH_BYTES = 1024;

/** Rows that a move is made in one after the other: they stay in a core's caches. */
const ROWS_AT_ONCE = 32;
/** Made in one pass. */
const MOVES_AT_ONCE = 4;
const WORD_BYTES = 4;
const WORD_BITS = 32;

/** Bits of a word that go to a word together: ((source << left) >>> right) & mask. */
interface Move {
  /** Numbers of words in a row, packed and not. */
  readonly from: number;
  readonly to: number;
  readonly left: number;
  readonly right: number;
  mask: number;
}

/** Unpacks rows of one type and length. */
export class RowUnpacker {
  /** Of a row in its file, and packed. */
  readonly fileBytes: number;
  readonly packedBytes: number;
  /** Bytes of a file's row that is all zeros when packed; floats: null, they are as they are. */
  readonly #zeros: Uint8Array | null;
  readonly #moves: readonly (readonly Move[])[];
  /** Some rows, packed and not, whole words each. */
  readonly #packed: Uint8Array;
  readonly #rows: Uint8Array;

  private constructor(
    { fileBytes, packedBytes }: { fileBytes: number; packedBytes: number },
    zeros: Uint8Array | null,
    moves: readonly (readonly Move[])[],
  ) {
    this.fileBytes = fileBytes;
    this.packedBytes = packedBytes;
    this.#zeros = zeros;
    this.#moves = moves;
    this.#packed = new Uint8Array(ROWS_AT_ONCE * alignUp(packedBytes, WORD_BYTES));
    this.#rows = new Uint8Array(ROWS_AT_ONCE * alignUp(fileBytes, WORD_BYTES));
  }

  /**
   * For rows of `columns` weights, whole blocks.
   * @returns null where packing does more to the type than to move its bits.
   */
  static learn(module: WebAssembly.Module, type: WeightType, columns: number): RowUnpacker | null {
    const sizes = {
      fileBytes: rowBytes(type, columns),
      packedBytes: packedRowBytes(type, columns),
    };
    if (!isQuantType(type)) return new RowUnpacker(sizes, null, []);
    const pack = packerOf(module, typeId(type), columns / blockWeights(type), sizes);
    const zeros = pack(new Uint8Array(sizes.fileBytes));
    const moves = movesOf(sourcesOf(pack, zeros, sizes.fileBytes));
    if (moves === null) return null;
    const unpacker = new RowUnpacker(sizes, null, moves);
    // What moves alone make of a packed row of zeros: what is XORed to them is left.
    const left = new Uint8Array(sizes.fileBytes);
    unpacker.#move(zeros, Float64Array.of(0), left);
    const whole = new RowUnpacker(sizes, left, moves);
    return whole.#isRight(pack) ? whole : null;
  }

  /** packed: [packedBytes]; row: [fileBytes], all of it is written. */
  unpack(packed: Uint8Array, row: Uint8Array): void {
    this.unpackRows(packed, Float64Array.of(0), row);
  }

  /** The same of rows that begin at `starts`; rows: [starts.length, fileBytes]. */
  unpackRows(packed: Uint8Array, starts: Float64Array, rows: Uint8Array): void {
    const { fileBytes } = this;
    if (this.#zeros !== null) return this.#move(packed, starts, rows);
    starts.forEach((start, i) =>
      rows.set(packed.subarray(start, start + fileBytes), i * fileBytes)
    );
  }

  #move(packed: Uint8Array, starts: Float64Array, rows: Uint8Array): void {
    const { fileBytes, packedBytes } = this;
    const packedStride = alignUp(packedBytes, WORD_BYTES);
    const stride = alignUp(fileBytes, WORD_BYTES);
    const words = {
      source: new Int32Array(this.#packed.buffer),
      sourceStride: packedStride / WORD_BYTES,
      target: new Int32Array(this.#rows.buffer),
      targetStride: stride / WORD_BYTES,
    };
    for (let first = 0; first < starts.length; first += ROWS_AT_ONCE) {
      const count = Math.min(ROWS_AT_ONCE, starts.length - first);
      for (let i = 0; i < count; i++) {
        const start = starts[first + i];
        this.#packed.set(packed.subarray(start, start + packedBytes), i * packedStride);
        if (this.#zeros === null) this.#rows.fill(0, i * stride, (i + 1) * stride);
        else this.#rows.set(this.#zeros, i * stride);
      }
      for (const moves of this.#moves) moveIn(count, moves, words);
      for (let i = 0; i < count; i++) {
        const row = this.#rows.subarray(i * stride, i * stride + fileBytes);
        rows.set(row, (first + i) * fileBytes);
      }
    }
  }

  /** Rows whose bits are anything come back: no sum or table was taken for a move. */
  #isRight(pack: (row: Uint8Array) => Uint8Array): boolean {
    const row = new Uint8Array(this.fileBytes);
    const back = new Uint8Array(this.fileBytes);
    for (let seed = 1; seed <= 3; seed++) {
      for (let i = 0, x = seed; i < row.length; i++) {
        x = (Math.imul(x, 1103515245) + 12345) >>> 0;
        row[i] = x >>> 16;
      }
      this.unpack(pack(row), back);
      if (!row.every((byte, i) => byte === back[i])) return false;
    }
    return true;
  }
}

/** Makes moves that go to one word in `count` rows: one write for all of them. */
function moveIn(count: number, [a, b, c, d]: readonly Move[], words: Words): void {
  const { source, sourceStride, target, targetStride } = words;
  const [aLeft, aRight, aMask, fromA] = [a.left, a.right, a.mask, a.from];
  const [bLeft, bRight, bMask, fromB] = [b.left, b.right, b.mask, b.from - fromA];
  const [cLeft, cRight, cMask, fromC] = [c.left, c.right, c.mask, c.from - fromA];
  const [dLeft, dRight, dMask, fromD] = [d.left, d.right, d.mask, d.from - fromA];
  for (let i = 0, s = fromA, t = a.to; i < count; i++, s += sourceStride, t += targetStride) {
    target[t] ^= (((source[s] << aLeft) >>> aRight) & aMask) ^
      (((source[s + fromB] << bLeft) >>> bRight) & bMask) ^
      (((source[s + fromC] << cLeft) >>> cRight) & cMask) ^
      (((source[s + fromD] << dLeft) >>> dRight) & dMask);
  }
}

/** Rows as words, and how many words each has. */
interface Words {
  readonly source: Int32Array;
  readonly sourceStride: number;
  readonly target: Int32Array;
  readonly targetStride: number;
}

/** Packs one row, by the kernels, in a memory of its own. */
function packerOf(
  module: WebAssembly.Module,
  type: number,
  blocks: number,
  { fileBytes, packedBytes }: { fileBytes: number; packedBytes: number },
): (row: Uint8Array) => Uint8Array {
  check(Number.isSafeInteger(blocks), "rows are whole blocks");
  const source = SCRATCH_BYTES;
  const target = alignUp(source + fileBytes, 16);
  const pages = Math.ceil((target + packedBytes) / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const kernels: Kernels = instantiateKernels(module, memory);
  const bytes = new Uint8Array(memory.buffer);
  return (row) => {
    bytes.set(row, source);
    kernels.repack(type, source, fileBytes, target, packedBytes, 1, blocks, 0);
    return bytes.slice(target, target + packedBytes);
  };
}

/**
 * For each bit of a file's row the bit of the packed row that is it; -1: none is. Of probe k a bit
 * is bit k of its place's number, counted from 1 on: what stays 0 in all of them is padding.
 */
function sourcesOf(
  pack: (row: Uint8Array) => Uint8Array,
  zeros: Uint8Array,
  fileBytes: number,
): Int32Array {
  const bitCount = 8 * fileBytes;
  const places = new Int32Array(8 * zeros.length);
  const probe = new Uint8Array(fileBytes);
  for (let k = 0; bitCount >> k > 0; k++) {
    probe.fill(0);
    for (let bit = 0; bit < bitCount; bit++) probe[bit >> 3] |= (bit + 1 >> k & 1) << (bit & 7);
    const packed = pack(probe);
    for (let bit = 0; bit < places.length; bit++) {
      places[bit] |= ((packed[bit >> 3] ^ zeros[bit >> 3]) >> (bit & 7) & 1) << k;
    }
  }
  const sources = new Int32Array(bitCount).fill(-1);
  for (let bit = places.length - 1; bit >= 0; bit--) {
    if (places[bit] > 0 && places[bit] <= bitCount) sources[places[bit] - 1] = bit;
  }
  return sources;
}

/**
 * Bits of a word that go as far as one another as one, MOVES_AT_ONCE that go to the same word
 * together; null: some bit of the row is nowhere.
 */
function movesOf(sources: Int32Array): Move[][] | null {
  if (sources.includes(-1)) return null;
  const moves: Move[] = [];
  /** Of the word that bits go to now: by the word that they come from, and how far they go. */
  const ofWord = new Map<number, Move>();
  sources.forEach((source, bit) => {
    if (bit % WORD_BITS === 0) ofWord.clear();
    const [from, to] = [Math.floor(source / WORD_BITS), Math.floor(bit / WORD_BITS)];
    const shift = bit % WORD_BITS - source % WORD_BITS;
    const key = 2 * WORD_BITS * from + shift;
    let move = ofWord.get(key);
    if (move === undefined) {
      move = { from, to, left: Math.max(0, shift), right: Math.max(0, -shift), mask: 0 };
      ofWord.set(key, move);
      moves.push(move);
    }
    move.mask |= 1 << bit % WORD_BITS;
  });
  const together: Move[][] = [];
  for (const move of moves) {
    const last = together.at(-1);
    if (last?.[0].to === move.to && last.length < MOVES_AT_ONCE) last.push(move);
    else together.push([move]);
  }
  for (const some of together) {
    while (some.length < MOVES_AT_ONCE) some.push({ ...some[0], mask: 0 });
  }
  return together;
}
