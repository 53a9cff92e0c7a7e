/**
 * The answer of a model that fills in a text, as a formula: block by block, of each block's masks
 * those first that the model is surest of, the likeliest id for each. Computes all of the text in
 * every step; the judge of src/engine/fill_leader.ts.
 */
import type { ModelConfig } from "../model/types.ts";

/** What of a forward pass is needed: `ReferenceModel`. */
export interface FilledBy {
  readonly config: Pick<ModelConfig, "fill" | "vocabSize">;
  /** Logits of each token, [n, vocabSize]. */
  forward(ids: readonly number[]): ArrayLike<number>;
}

/** How an answer of `count` ids is filled in. */
export interface ReferenceFill {
  readonly count: number;
  readonly blockTokens: number;
  /** Masks of a block that a step fills in. */
  readonly stepTokens: number;
  readonly order: "confidence" | "entropy" | "margin";
}

/** The answer's ids; masks that the prompt has stay. */
export function referenceFill(
  model: FilledBy,
  prompt: readonly number[],
  { count, blockTokens, stepTokens, order }: ReferenceFill,
): number[] {
  const { maskId, isShifted } = model.config.fill!;
  const ids = [...prompt, ...new Array<number>(count).fill(maskId)];
  const masked = new Set(Array.from({ length: count }, (_, i) => prompt.length + i));
  for (let start = prompt.length; start < ids.length; start += blockTokens) {
    const end = Math.min(start + blockTokens, ids.length);
    for (;;) {
      const places = [...masked].filter((place) => place >= start && place < end);
      if (places.length === 0) break;
      const logits = model.forward(ids);
      const found = places.map((place) => {
        const row = isShifted ? place - 1 : place;
        return { place, ...best(probabilities(logits, row, model.config), order) };
      });
      // Of equally sure ones the earlier.
      found.sort((a, b) => b.certainty - a.certainty || a.place - b.place);
      for (const { place, id } of found.slice(0, stepTokens)) {
        ids[place] = id;
        masked.delete(place);
      }
    }
  }
  return ids.slice(prompt.length);
}

/** No mask is ever an answer. */
function probabilities(
  logits: ArrayLike<number>,
  row: number,
  { vocabSize, fill }: FilledBy["config"],
): Float64Array {
  const own = Float64Array.from({ length: vocabSize }, (_, id) => logits[row * vocabSize + id]);
  own[fill!.maskId] = -Infinity;
  const most = Math.max(...own);
  const weights = own.map((logit) => Math.exp(logit - most));
  const sum = weights.reduce((all, each) => all + each, 0);
  return weights.map((weight) => weight / sum);
}

/** The likeliest id, and how sure the model is: larger is surer. */
function best(p: Float64Array, order: ReferenceFill["order"]): { id: number; certainty: number } {
  const id = p.indexOf(Math.max(...p));
  if (order === "confidence") return { id, certainty: p[id] };
  if (order === "margin") return { id, certainty: p[id] - Math.max(...p.with(id, 0)) };
  return { id, certainty: p.reduce((sum, q) => q > 0 ? sum + q * Math.log(q) : sum, 0) };
}
