/** How many routes a mixture of experts has for a token. */
import type { ExpertsConfig } from "./types.ts";

/** Routes of a token at most: to its experts, and to what goes along with them. */
export function routesOfToken({ usedCount, companions }: ExpertsConfig): number {
  return companions === undefined ? usedCount : 2 * usedCount;
}
