/**
 * The codebooks of the IQ types, expanded: an index in a file stands for the levels of 8 (or 4)
 * weights. Knows nothing of blocks.
 */
import { check } from "../../base/check.ts";
import { CODEBOOK_ENTRIES } from "./codebook_entries.ts";

/** Types whose weights are looked up in a codebook. */
export const CODEBOOK_TYPES: readonly string[] = [
  ...["IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M"],
];

export type CodebookName = keyof typeof CODEBOOK_ENTRIES;

/** How entries become levels. */
interface Codebook {
  /** Weights of an entry. */
  readonly width: 4 | 8;
  /** Those of IQ3_XXS are halved, those of IQ1 times 8: whole numbers that are small. */
  readonly levels: readonly number[];
}

const IQ2_LEVELS = [8, 25, 43];

const CODEBOOKS: Readonly<Record<CodebookName, Codebook>> = {
  IQ2_XXS: { width: 8, levels: IQ2_LEVELS },
  IQ2_XS: { width: 8, levels: IQ2_LEVELS },
  IQ2_S: { width: 8, levels: IQ2_LEVELS },
  IQ3_XXS: { width: 4, levels: [2, 6, 10, 14, 18, 22, 26, 31] },
  IQ3_S: { width: 4, levels: [1, 3, 5, 7, 9, 11, 13, 15] },
  IQ1: { width: 8, levels: [-8, 0, 8] },
};

/** All of them. */
export const CODEBOOK_NAMES = Object.keys(CODEBOOKS) as readonly CodebookName[];

const expanded = new Map<CodebookName, Int8Array>();

/** The levels of all entries of one codebook, entry by entry; made once. */
export function codebook(name: CodebookName): Int8Array {
  const known = expanded.get(name);
  if (known !== undefined) return known;
  const made = expand(name);
  expanded.set(name, made);
  return made;
}

function expand(name: CodebookName): Int8Array {
  const entries = new Uint16Array(Uint8Array.fromBase64(CODEBOOK_ENTRIES[name]).buffer);
  const { width, levels } = CODEBOOKS[name];
  const bits = width === 4 ? 3 : 2;
  const out = new Int8Array(entries.length * width);
  entries.forEach((entry, i) => {
    for (let j = 0; j < width; j++) {
      const level = levels[entry >> bits * j & (1 << bits) - 1];
      check(level !== undefined, `codebook ${name} has such a level`);
      out[width * i + j] = level;
    }
  });
  return out;
}

/** Seven signs, and an eighth that makes their number even. */
export function evenSigns(seven: number): number {
  let parity = seven ^ seven >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | (parity & 1) << 7;
}
