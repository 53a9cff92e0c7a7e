/** StableLM 2: layer norms, partly rotated heads; the 12B has parallel blocks, head norms. */
import { COMMON, type Family } from "../family.ts";

/**
 * The family `general.architecture = "stablelm"`. Converters write `use_parallel_residual` into
 * files of serial models, too: the feed-forward norm tells.
 */
export const stablelm: Family = {
  ...COMMON,
  architecture: "stablelm",
  positions: "neox",
  norm: "layer",
  mayBeParallel: true,
  headNorms: "perHead",
};
