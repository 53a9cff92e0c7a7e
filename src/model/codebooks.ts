/**
 * The codebooks of the IQ types, expanded: an index in a file stands for the levels of 8 (or 4)
 * weights. Knows nothing of blocks.
 */
import { check } from "../base/check.ts";
import {
  CODEBOOKS_AT,
  CODEBOOKS_END,
  IQ1_AT,
  IQ2_S_AT,
  IQ2_XS_AT,
  IQ2_XXS_AT,
  IQ3_S_AT,
  IQ3_XXS_AT,
  SIGNS_AT,
} from "../memory/codebook_layout.ts";
import { CODEBOOK_ENTRIES } from "./codebook_entries.ts";

/** Types whose weights are looked up in a codebook. */
export const CODEBOOK_TYPES: readonly string[] = [
  ...["IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M"],
];

/** A codebook as codebook_layout.ts has it. */
interface Codebook {
  readonly at: number;
  /** Weights of an entry. */
  readonly width: 4 | 8;
  readonly levels: readonly number[];
}

const IQ2_LEVELS = [8, 25, 43];

const CODEBOOKS: Readonly<Record<keyof typeof CODEBOOK_ENTRIES, Codebook>> = {
  IQ2_XXS: { at: IQ2_XXS_AT, width: 8, levels: IQ2_LEVELS },
  IQ2_XS: { at: IQ2_XS_AT, width: 8, levels: IQ2_LEVELS },
  IQ2_S: { at: IQ2_S_AT, width: 8, levels: IQ2_LEVELS },
  IQ3_XXS: { at: IQ3_XXS_AT, width: 4, levels: [2, 6, 10, 14, 18, 22, 26, 31] },
  IQ3_S: { at: IQ3_S_AT, width: 4, levels: [1, 3, 5, 7, 9, 11, 13, 15] },
  IQ1: { at: IQ1_AT, width: 8, levels: [-8, 0, 8] },
};

let expanded: Int8Array<ArrayBuffer> | null = null;

/** All codebooks, byte CODEBOOKS_AT of an arena first; made once. */
export function expandedCodebooks(): Int8Array<ArrayBuffer> {
  return expanded ??= expand();
}

/** The levels of all entries of one codebook, entry by entry; a view. */
export function codebook(name: keyof typeof CODEBOOK_ENTRIES): Int8Array {
  const { at, width } = CODEBOOKS[name];
  const start = at - CODEBOOKS_AT;
  return expandedCodebooks().subarray(start, start + entriesOf(name).length * width);
}

function expand(): Int8Array<ArrayBuffer> {
  const all = new Int8Array(CODEBOOKS_END - CODEBOOKS_AT);
  for (let i = 0; i < 128; i++) {
    const signs = evenSigns(i);
    for (let j = 0; j < 8; j++) all[SIGNS_AT - CODEBOOKS_AT + 8 * i + j] = -(signs >> j & 1);
  }
  for (const name of Object.keys(CODEBOOKS) as (keyof typeof CODEBOOK_ENTRIES)[]) {
    const { at, width, levels } = CODEBOOKS[name];
    const bits = 16 / width - (width === 4 ? 1 : 0);
    const mask = (1 << bits) - 1;
    entriesOf(name).forEach((entry, i) => {
      for (let j = 0; j < width; j++) {
        const level = levels[entry >> bits * j & mask];
        check(level !== undefined, `codebook ${name} has such a level`);
        all[at - CODEBOOKS_AT + width * i + j] = level;
      }
    });
  }
  return all;
}

/** Seven signs, and an eighth that makes their number even. */
export function evenSigns(seven: number): number {
  let parity = seven ^ seven >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | (parity & 1) << 7;
}

function entriesOf(name: keyof typeof CODEBOOK_ENTRIES): Uint16Array {
  return new Uint16Array(Uint8Array.fromBase64(CODEBOOK_ENTRIES[name]).buffer);
}
