/** Heads whose outcome is gated, and rows of heads that do not lie side by side. */
import type { AttentionGate, HeadRows } from "../model/mod.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { softplus } from "./state_space.ts";
import { sigmoid } from "./routing.ts";

type Projecting = Pick<ReferenceBlocks, "project">;

/** What each head's own rows make of h, [n, heads · count]. */
export function projectHeads(
  h: Float64Array,
  { matrix, step, start, count }: HeadRows,
  blocks: Projecting,
): Float64Array {
  const all = blocks.project(h, matrix);
  return Float64Array.from(
    { length: all.length / step * count },
    (_, i) => all[Math.floor(i / count) * step + start + i % count],
  );
}

/**
 * heads ⊙ act(gate · h), [n, heads · headDim], of gates of each dimension or of each head; where
 * nothing is gated, the heads.
 */
export function gateHeads(
  heads: Float64Array,
  h: Float64Array,
  by: AttentionGate | null,
  blocks: Projecting,
): Float64Array {
  if (by === null) return heads;
  const gates = projectHeads(h, by.gate, blocks);
  const act = by.activation === "sigmoid" ? sigmoid : softplus;
  const each = heads.length / gates.length;
  return heads.map((value, i) => value * act(gates[Math.floor(i / each)]));
}
