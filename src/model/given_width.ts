/** How long rows are that a prompt brings along. */
import type { ModelConfig } from "./types.ts";

/** Numbers of a row: of what enters the first layer, and of what is added behind layers. */
export function givenWidth(
  { embeddingLength, givenParts = 1 }: Pick<ModelConfig, "embeddingLength" | "givenParts">,
): number {
  return embeddingLength * givenParts;
}
