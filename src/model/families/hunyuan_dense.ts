/** Hunyuan, dense: heads are normalised when they are turned already. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "hunyuan-dense"`. */
export const hunyuanDense: Family = {
  ...COMMON,
  architecture: "hunyuan-dense",
  positions: "neox",
  headNorms: "shared",
  normalizesTurnedHeads: true,
};
