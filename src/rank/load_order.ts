/** What a rank has to load, in which order, and how many bytes of the file that is. */
import type { GgufTensor } from "../gguf/types.ts";
import { rowBytes } from "../model/dtypes.ts";
import type { MatrixPlan, RankPlan, VectorPlan } from "./plan_types.ts";
import { lengthOf } from "./shard.ts";

/** A matrix or vector of the plan and the arena it goes to. */
export type Piece =
  | { readonly arena: number; readonly matrix: MatrixPlan }
  | { readonly arena: number; readonly vector: VectorPlan };

/** Everything the plan names, in the order of the file as converters write it. */
export function* piecesOf(plan: RankPlan): Generator<Piece> {
  yield { arena: 0, matrix: plan.embedding };
  for (const layer of plan.layers) {
    const { arena } = layer;
    yield { arena, vector: layer.attentionNorm };
    yield { arena, matrix: layer.query };
    yield { arena, matrix: layer.key };
    yield { arena, matrix: layer.value };
    for (const bias of [layer.queryBias, layer.keyBias, layer.valueBias]) {
      if (bias !== null) yield { arena, vector: bias };
    }
    yield { arena, matrix: layer.attentionOutput };
    yield { arena, vector: layer.feedForwardNorm };
    yield { arena, matrix: layer.gate };
    yield { arena, matrix: layer.up };
    yield { arena, matrix: layer.down };
  }
  yield { arena: plan.outputArena, vector: plan.outputNorm };
  // Plans are posted between threads, so a tied output is told by its name.
  if (plan.output.tensor !== plan.embedding.tensor) {
    yield { arena: plan.outputArena, matrix: plan.output };
  }
}

/** Bytes of the file that `loadWeights` will read, by the same steps. */
export function bytesToLoad(plan: RankPlan, tensors: ReadonlyMap<string, GgufTensor>): number {
  let bytes = 0;
  for (const piece of piecesOf(plan)) {
    if ("vector" in piece) {
      bytes += rowBytes(tensors.get(piece.vector.tensor)!.type, lengthOf(piece.vector.range));
    } else if (lengthOf(piece.matrix.columns) > 0) {
      const tensor = tensors.get(piece.matrix.tensor)!;
      bytes += lengthOf(piece.matrix.rows) * rowBytes(tensor.type, tensor.dims[0]);
    }
  }
  return bytes;
}
