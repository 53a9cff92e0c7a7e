/**
 * The codebooks of IQ types in a rank's arenas, where kernels look entries up: only models with
 * such types have them.
 */
import { check } from "../base/check.ts";
import type { GgufTensor } from "../gguf/types.ts";
import type { ArenaBuilder, ArenaPlan } from "../memory/arena.ts";
import {
  CODEBOOKS_AT,
  CODEBOOKS_END,
  EVEN_SIGNS_AT,
  IQ1_AT,
  IQ2_S_AT,
  IQ2_XS_AT,
  IQ2_XXS_AT,
  IQ3_S_AT,
  IQ3_XXS_AT,
  SIGNS_AT,
} from "../memory/codebook_layout.ts";
import {
  codebook,
  CODEBOOK_NAMES,
  CODEBOOK_TYPES,
  type CodebookName,
  evenSigns,
} from "../model/codebooks.ts";

const ADDRESSES: Readonly<Record<CodebookName, number>> = {
  IQ2_XXS: IQ2_XXS_AT,
  IQ2_XS: IQ2_XS_AT,
  IQ2_S: IQ2_S_AT,
  IQ3_XXS: IQ3_XXS_AT,
  IQ3_S: IQ3_S_AT,
  IQ1: IQ1_AT,
};

const NAME = "codebooks";

/** Makes room in an arena that is empty yet. */
export function placeCodebooks(arena: ArenaBuilder, tensors: Iterable<GgufTensor>): void {
  if (![...tensors].some(({ type }) => CODEBOOK_TYPES.includes(type))) return;
  const at = arena.allocate(NAME, "activations", CODEBOOKS_END - CODEBOOKS_AT);
  check(at === CODEBOOKS_AT, "codebooks lie where kernels look for them");
}

/** Writes them where there is room for them. */
export function loadCodebooks({ regions }: ArenaPlan, memory: WebAssembly.Memory): void {
  if (regions.some(({ name }) => name === NAME)) writeCodebooks(memory.buffer);
}

/** Writes them to an arena. */
export function writeCodebooks(buffer: ArrayBufferLike): void {
  const bytes = new Int8Array(buffer);
  const put = (at: number, signs: number) => {
    for (let j = 0; j < 8; j++) bytes[at + j] = -(signs >> j & 1);
  };
  for (let i = 0; i < 128; i++) put(EVEN_SIGNS_AT + 8 * i, evenSigns(i));
  for (let i = 0; i < 256; i++) put(SIGNS_AT + 8 * i, i);
  for (const name of CODEBOOK_NAMES) bytes.set(levelsFor(name), ADDRESSES[name]);
}

/** Those of IQ1 from 0 on: kernels multiply what is not negative. */
function levelsFor(name: CodebookName): Int8Array {
  return name === "IQ1" ? codebook(name).map((level) => level + 8) : codebook(name);
}
