/** How long rows are that a prompt brings along, and where which part of them goes. */
import type { GivenConfig } from "./given_types.ts";
import type { ModelConfig } from "./types.ts";

/** Numbers of a row: of what enters the first layer, and of what is added behind layers. */
export function givenWidth(
  { embeddingLength, givenParts = 1 }: Pick<ModelConfig, "embeddingLength" | "givenParts">,
): number {
  return embeddingLength * givenParts;
}

/** The part that is added behind a layer, from 1 on; 0: none is. */
export function partBehind({ givenParts = 1, partsBehind }: GivenConfig, layer: number): number {
  const part = partsBehind === undefined ? layer + 1 : partsBehind[layer] ?? 0;
  return part < givenParts ? part : 0;
}
