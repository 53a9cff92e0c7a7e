/** Who leads the ranks of a model: it depends on how that writes. */
import type { RankRunner } from "../rank/open_rank.ts";
import { FillLeader } from "./fill_leader.ts";
import { Leader, type LeaderOptions } from "./leader.ts";

/** What is asked of either. */
export type RequestLeader = Pick<
  Leader,
  "texts" | "errands" | "hasWork" | "begin" | "step" | "archive" | "failAll"
>;

export function createLeader(runner: RankRunner, options?: LeaderOptions): RequestLeader {
  const { fill } = runner.setup.config;
  return fill === undefined ? new Leader(runner, options) : new FillLeader(runner);
}
