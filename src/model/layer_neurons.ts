/** How many feed-forward neurons a layer has, whatever they are sorted into. */
import type { ModelConfig } from "./types.ts";

/**
 * Neurons of a layer. Those of a mixture are numbered expert by expert, the shared expert's last; a
 * dense layer between such ones has the first few of the numbers.
 */
export function layerNeurons({ feedForwardLength, experts }: ModelConfig): number {
  if (experts === null) return feedForwardLength;
  const { count, feedForwardLength: each, sharedFeedForwardLength: shared } = experts;
  return Math.max(feedForwardLength, count * each + shared);
}
