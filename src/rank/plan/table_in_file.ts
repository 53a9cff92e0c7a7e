/** The tensor of which tokens read rows, where it stays in the file. Reads plans alone. */
import type { RankPlan } from "./plan_types.ts";

/** Its name; undefined: there is none. */
export function tableInFile({ tokenInputs, layers }: RankPlan): string | undefined {
  if (tokenInputs !== null) return tokenInputs.table.tensor;
  return layers.find(({ gated }) => gated?.ngrams)?.gated?.ngrams?.table;
}
