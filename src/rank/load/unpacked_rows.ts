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

/** Bits of one byte that go to one byte together. */
interface Move {
  readonly from: number;
  readonly to: number;
  /** Left of the source byte's lowest bit, and of the target's. */
  readonly fromBit: number;
  readonly toBit: number;
  readonly bits: number;
}

/** Unpacks rows of one type and length. */
export class RowUnpacker {
  /** Of a row in its file, and packed. */
  readonly fileBytes: number;
  readonly packedBytes: number;
  /** Bytes of a file's row that is all zeros when packed; floats: null, they are as they are. */
  readonly #zeros: Uint8Array | null;
  /** By move: byte of the packed row, how far right, which bits stay, how far left, and where. */
  readonly #from: Uint32Array;
  readonly #right: Uint8Array;
  readonly #mask: Uint8Array;
  readonly #left: Uint8Array;
  readonly #to: Uint32Array;

  private constructor(
    sizes: { fileBytes: number; packedBytes: number },
    zeros: Uint8Array | null,
    moves: readonly Move[],
  ) {
    this.fileBytes = sizes.fileBytes;
    this.packedBytes = sizes.packedBytes;
    this.#zeros = zeros;
    this.#from = Uint32Array.from(moves, ({ from }) => from);
    this.#right = Uint8Array.from(moves, ({ fromBit }) => fromBit);
    this.#mask = Uint8Array.from(moves, ({ bits }) => (1 << bits) - 1);
    this.#left = Uint8Array.from(moves, ({ toBit }) => toBit);
    this.#to = Uint32Array.from(moves, ({ to }) => to);
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
    const unpacker = new RowUnpacker(sizes, unpackedZeros(zeros, moves, sizes.fileBytes), moves);
    return unpacker.#isRight(pack) ? unpacker : null;
  }

  /** packed: [packedBytes]; row: [fileBytes], all of it is written. */
  unpack(packed: Uint8Array, row: Uint8Array): void {
    if (this.#zeros === null) return row.set(packed.subarray(0, this.fileBytes));
    row.set(this.#zeros);
    const [from, right, mask, left, to] = [
      ...[this.#from, this.#right, this.#mask, this.#left, this.#to],
    ];
    for (let i = 0; i < from.length; i++) {
      row[to[i]] ^= ((packed[from[i]] >> right[i]) & mask[i]) << left[i];
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

/** Neighbours that stay neighbours as one; null: some bit of the row is nowhere. */
function movesOf(sources: Int32Array): Move[] | null {
  if (sources.includes(-1)) return null;
  const moves: Move[] = [];
  for (let bit = 0, bits = 1; bit < sources.length; bit += bits) {
    const source = sources[bit];
    const most = 8 - Math.max(bit & 7, source & 7);
    for (bits = 1; bits < most && sources[bit + bits] === source + bits;) bits++;
    moves.push({ from: source >> 3, fromBit: source & 7, to: bit >> 3, toBit: bit & 7, bits });
  }
  return moves;
}

/** What moves alone make of a packed row of zeros: what is XORed to them is left. */
function unpackedZeros(zeros: Uint8Array, moves: readonly Move[], fileBytes: number): Uint8Array {
  const row = new Uint8Array(fileBytes);
  for (const { from, fromBit, to, toBit, bits } of moves) {
    row[to] |= (zeros[from] >> fromBit & (1 << bits) - 1) << toBit;
  }
  return row;
}
