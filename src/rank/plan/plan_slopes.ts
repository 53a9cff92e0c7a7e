/** Room for what scores have more, or less, by distance. */
import { BIAS_SPAN } from "../../memory/bias_layout.ts";
import { biasTables } from "../../model/score_biases.ts";
import type { ModelConfig } from "../../model/types.ts";

/** Of slopes, one for each head, or of biases, by table and head; nothing where there are none. */
export function slopesBytes(
  { alibiMaxBias, scoreBiases, headCount }: ModelConfig,
): { readonly slopes?: number } {
  if (scoreBiases) return { slopes: biasTables(scoreBiases).length * headCount * BIAS_SPAN * 4 };
  return alibiMaxBias > 0 ? { slopes: headCount * 4 } : {};
}
