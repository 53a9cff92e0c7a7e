/** The text of Hunyuan VL: Hunyuan whose file may stretch the context, and places images. */
import type { Family } from "../family.ts";
import { hunyuanDense } from "./hunyuan_dense.ts";

/** The family `general.architecture = "hunyuan_vl"`. */
export const hunyuanVl: Family = {
  ...hunyuanDense,
  architecture: "hunyuan_vl",
  mayStretchBase: true,
  sections: "columnsFirst",
};
