/** Where heads that are merged group by group are cut between ranks. Pure arithmetic. */
import type { ModelConfig } from "../../model/types.ts";

/** So many heads and multiples: whole groups, whose outcomes are whole blocks of weights. */
export function headsPerCut(config: ModelConfig, block: number): number {
  const { groupCount, groupLength } = config.compression!;
  const size = config.headCount / groupCount;
  let groups = 1;
  while ((groups * groupLength) % block !== 0) groups++;
  return groups * size;
}
