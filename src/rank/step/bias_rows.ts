/** Biases of scores as kernels take them. Pure arithmetic. */
import { BIAS_MAX, BIAS_SPAN } from "../../memory/bias_layout.ts";
import { bucketOf } from "../../model/score_biases.ts";

/** Of a table [buckets, heads], of both directions or one, f32 [heads, BIAS_SPAN]. */
export function biasRows(
  table: ArrayLike<number>,
  bucketCount: number,
  isOneWay = false,
): Float32Array {
  const heads = table.length / bucketCount;
  return Float32Array.from({ length: heads * BIAS_SPAN }, (_, i) => {
    const distance = i % BIAS_SPAN - BIAS_MAX;
    return table[bucketOf(distance, bucketCount, isOneWay) * heads + Math.floor(i / BIAS_SPAN)];
  });
}
