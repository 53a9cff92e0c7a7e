/**
 * Writes the codebooks of IQ types where kernels look entries up, in the arenas that have room for
 * them.
 */
import type { ArenaPlan } from "../../memory/arena.ts";
import {
  EVEN_SIGNS_AT,
  IQ1_AT,
  IQ2_S_AT,
  IQ2_XS_AT,
  IQ2_XXS_AT,
  IQ3_S_AT,
  IQ3_XXS_AT,
  SIGNS_AT,
} from "../../memory/codebook_layout.ts";
import {
  codebook,
  CODEBOOK_NAMES,
  type CodebookName,
  evenSigns,
} from "../../model/quants/codebooks.ts";
import { CODEBOOK_REGION } from "../plan/plan_codebooks.ts";

const ADDRESSES: Readonly<Record<CodebookName, number>> = {
  IQ2_XXS: IQ2_XXS_AT,
  IQ2_XS: IQ2_XS_AT,
  IQ2_S: IQ2_S_AT,
  IQ3_XXS: IQ3_XXS_AT,
  IQ3_S: IQ3_S_AT,
  IQ1: IQ1_AT,
};

/** Writes them where there is room for them. */
export function loadCodebooks({ regions }: ArenaPlan, memory: WebAssembly.Memory): void {
  if (regions.some(({ name }) => name === CODEBOOK_REGION)) writeCodebooks(memory.buffer);
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
