/** The value of --rank. */
import { InvalidArgumentError } from "commander";
import { RANK_STEP } from "../../train/mod.ts";

const RANK_MAX = 8192;

/** "auto", or a multiple of `RANK_STEP`. */
export function rankOption(text: string): number | "auto" {
  if (text === "auto") return text;
  const rank = /^\d+$/.test(text.trim()) ? Number(text) : NaN;
  if (rank > 0 && rank <= RANK_MAX && rank % RANK_STEP === 0) return rank;
  throw new InvalidArgumentError(
    `"auto" or a multiple of ${RANK_STEP} up to ${RANK_MAX} is needed.`,
  );
}
