/**
 * Where inputs of products lie in 8 bits: filled again for each product, by the shader `quantize`
 * or by what makes the inputs. Knows their layout (kernels/parts/int8.wgsl), and which rows are
 * there.
 */
import { divExact } from "../src/base/check.ts";
import type { Gpu } from "./device.ts";
import type { Range } from "./step_kinds.ts";

/** Columns of a piece. */
export const INT8_COLUMNS = 32;
/** Bytes of a piece: 32 values, their scale, and the sums of both halves. */
const PIECE_BYTES = 48;

/** Bytes of `tokens` rows; columns by 32. */
export function int8RowsBytes(tokens: number, columns: number): number {
  return tokens * divExact(columns, INT8_COLUMNS) * PIECE_BYTES;
}

/** Room for steps of any length, and for a token of each sequence: filled while that is read. */
export interface Int8Rows {
  readonly main: GPUBuffer;
  readonly other: GPUBuffer;
}

/** For steps of up to `tokens` tokens and products of up to `columns` columns. */
export async function createInt8Rows(
  gpu: Gpu,
  { tokens, columns, sequences = 1 }: { tokens: number; columns: number; sequences?: number },
): Promise<Int8Rows> {
  const main = await gpu.createBuffer("rows in 8 bits", int8RowsBytes(tokens, columns));
  try {
    const other = await gpu.createBuffer("more rows in 8 bits", int8RowsBytes(sequences, columns));
    return { main, other };
  } catch (error) {
    gpu.destroyBuffer(main);
    throw error;
  }
}

/** Gives their memory back. */
export function destroyInt8Rows(gpu: Gpu, { main, other }: Int8Rows): void {
  gpu.destroyBuffer(main);
  gpu.destroyBuffer(other);
}

/** Which rows lie in a buffer, in steps of how many tokens. */
interface Held {
  /** Begins with the place of the rows, and a space. */
  readonly key: string;
  readonly tokens: Range;
  /** Of tokens of a sequence each, or not; left out: of both. */
  readonly isApart?: boolean;
}

/** What is in both buffers while a list of dispatches is made. */
export class HeldRows {
  readonly #held = new Map<GPUBuffer, Held>();

  put(buffer: GPUBuffer, held: Held): void {
    for (const [each, { key }] of this.#held) if (key === held.key) this.#held.delete(each);
    this.#held.set(buffer, held);
  }

  /** Something else is in a buffer. */
  drop(buffer: GPUBuffer): void {
    this.#held.delete(buffer);
  }

  /** Somebody wrote rows at `place`. */
  forget(place: string): void {
    for (const [buffer, { key }] of this.#held) {
      if (key.startsWith(`${place} `)) this.#held.delete(buffer);
    }
  }

  /** Where rows are, and from how many tokens on they are not, of steps within `range`. */
  find(
    key: string,
    [from, to]: Range,
    isApart?: boolean,
  ): { buffer: GPUBuffer; missingFrom: number } | null {
    for (const [buffer, { key: own, tokens: [first, last], isApart: ofThese }] of this.#held) {
      if (own !== key || first > from || (ofThese ?? isApart) !== isApart) continue;
      return { buffer, missingFrom: last >= to ? Infinity : Math.max(from, last + 1) };
    }
    return null;
  }
}
