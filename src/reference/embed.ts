/** What a token goes into the first layer as: formulas, in f64. */
import { check } from "../base/check.ts";
import type { ModelConfig, ModelTensors } from "../model/mod.ts";
import { givenRow, type ReferenceGiven } from "./given_rows.ts";
import type { ReferenceWeights } from "./weights.ts";

/** Tokens behind the first `fromPosition` ones of a sequence. */
export interface NewTokens {
  readonly ids: readonly number[];
  readonly fromPosition: number;
  readonly given: ReferenceGiven;
}

/**
 * Rows `ids` of the embedding table, scaled, or given ones, scaled in few models, and learned
 * positions, and what the kind of tokens adds: [n, embeddingLength].
 */
export function embedTokens(
  { ids, fromPosition, given }: NewTokens,
  { tokenEmbedding, positionEmbedding, tokenKind }: ModelTensors,
  { config, weights }: { readonly config: ModelConfig; readonly weights: ReferenceWeights },
): Float64Array {
  const { embeddingLength: width, vocabSize, embeddingScale, contextLength } = config;
  const givenScale = config.scalesGiven ? embeddingScale : 1;
  const table = weights.matrix(tokenEmbedding);
  const positions = positionEmbedding && weights.matrix(positionEmbedding);
  const kind = tokenKind && weights.vector(tokenKind);
  const x = new Float64Array(ids.length * width);
  ids.forEach((id, t) => {
    check(Number.isInteger(id) && id < vocabSize, `id ${id} of ${vocabSize}`);
    const row = id < 0 ? givenRow(id, given) : null;
    const position = fromPosition + t;
    check(!positions || position < contextLength, `no embedding of position ${position}`);
    for (let i = 0; i < width; i++) {
      const own = row === null ? table[id * width + i] * embeddingScale : row[i] * givenScale;
      x[t * width + i] = own +
        (positions?.[position * width + i] ?? 0) + (kind?.[i] ?? 0);
    }
  });
  return x;
}
