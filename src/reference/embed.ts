/** What a token goes into the first layer as: formulas, in f64. */
import { check } from "../base/check.ts";
import type { ModelConfig, ModelTensors } from "../model/mod.ts";
import type { ReferenceWeights } from "./weights.ts";

/**
 * Rows `ids` of the embedding table, scaled, and learned positions, and what the kind of tokens
 * adds: [n, embeddingLength].
 */
export function embedTokens(
  ids: readonly number[],
  fromPosition: number,
  { tokenEmbedding, positionEmbedding, tokenKind }: ModelTensors,
  { config, weights }: { readonly config: ModelConfig; readonly weights: ReferenceWeights },
): Float64Array {
  const { embeddingLength: width, vocabSize, embeddingScale, contextLength } = config;
  const table = weights.matrix(tokenEmbedding);
  const positions = positionEmbedding && weights.matrix(positionEmbedding);
  const kind = tokenKind && weights.vector(tokenKind);
  const x = new Float64Array(ids.length * width);
  ids.forEach((id, t) => {
    check(Number.isInteger(id) && id >= 0 && id < vocabSize, `id ${id} of ${vocabSize}`);
    const position = fromPosition + t;
    check(!positions || position < contextLength, `no embedding of position ${position}`);
    for (let i = 0; i < width; i++) {
      x[t * width + i] = table[id * width + i] * embeddingScale +
        (positions?.[position * width + i] ?? 0) + (kind?.[i] ?? 0);
    }
  });
  return x;
}
