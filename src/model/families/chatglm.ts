/** ChatGLM 3 and GLM 4: fused tensors, half of each head rotated; most have biased queries. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "chatglm"`. */
export const chatglm: Family = {
  ...COMMON,
  architecture: "chatglm",
  positions: "norm",
  fusesGateAndUp: true,
};
