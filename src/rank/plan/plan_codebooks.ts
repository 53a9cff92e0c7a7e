/** Room for the codebooks of IQ types in a rank's arenas: only models with such types have them. */
import { check } from "../../base/check.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import type { ArenaBuilder } from "../../memory/arena.ts";
import { CODEBOOKS_AT, CODEBOOKS_END } from "../../memory/codebook_layout.ts";
import { CODEBOOK_TYPES } from "../../model/quants/codebooks.ts";

/** What the region is called in an arena's plan. */
export const CODEBOOK_REGION = "codebooks";

/** Makes room in an arena that is empty yet. */
export function placeCodebooks(arena: ArenaBuilder, tensors: Iterable<GgufTensor>): void {
  if (![...tensors].some(({ type }) => CODEBOOK_TYPES.includes(type))) return;
  const at = arena.allocate(CODEBOOK_REGION, "activations", CODEBOOKS_END - CODEBOOKS_AT);
  check(at === CODEBOOKS_AT, "codebooks lie where kernels look for them");
}
