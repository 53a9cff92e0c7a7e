/** Keys and tensors of biases of scores. Knows names and shapes; reads no weights. */
import type { Family } from "../family.ts";
import type { ModelConfig } from "../types.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { TensorChecker } from "./tensor_checker.ts";

/** All layers have those of the first one, in each of both directions. */
const TABLE = "enc.blk.0.attn_rel_b.weight";
const WRITTEN_TABLE = "dec.blk.0.attn_rel_b.weight";
/** Fewer leave no near distances a bucket of their own, more no far ones. */
const BUCKETS_MIN = 4;
const BUCKETS_MAX = 256;

/** @throws {ModelFormatError} when the number of buckets is missing or out of range. */
export function readScoreBiases(
  keys: Hyperparameters,
  { positions, sourceNorm }: Family,
): Pick<ModelConfig, "scoreBiases"> {
  if (positions !== "bucketed") return {};
  const key = "attention.relative_buckets_count";
  const bucketCount = keys.integer(key, { min: BUCKETS_MIN, max: BUCKETS_MAX });
  const headCount = keys.integer("attention.head_count", { min: 1 });
  const table = { tensor: TABLE, start: 0, length: bucketCount * headCount };
  const written = sourceNorm === null ? undefined : { ...table, tensor: WRITTEN_TABLE };
  return { scoreBiases: { bucketCount, table, ...written && { written } } };
}

/** @throws {ModelFormatError} when they are not there, or not of that shape. */
export function checkScoreBiases(
  checker: TensorChecker,
  { scoreBiases, headCount }: ModelConfig,
): void {
  if (scoreBiases === undefined) return;
  const { bucketCount, table, written } = scoreBiases;
  checker.vector(table.tensor, headCount, bucketCount);
  if (written !== undefined) checker.vector(written.tensor, headCount, bucketCount);
}
