/**
 * DeepSeek 2 and 3, and who is built like them (Kimi K2, Moonlight, GLM 4.7 Flash): latent
 * attention; the first layers are dense, some experts are everybody's.
 */
import { COMMON, type Family, type MixtureShape } from "../family.ts";

/** The family `general.architecture = "deepseek2"`. */
export const deepseek2: Family = {
  ...COMMON,
  architecture: "deepseek2",
  guessing: "normedRows",
  positions: "norm",
  hasLatentAttention: true,
  experts: {
    isRequired: false,
    gating,
    normalizesWeights: false,
    routerInput: "feedForward",
    sharedExpert: "plain",
  },
};

/** The first files of GLM 4.7 Flash do not say that its gates are sigmoids. */
function gating({ blockCount, vocabSize }: MixtureShape): "sigmoid" | "softmax" {
  const isGlm = (blockCount === 47 || blockCount === 48) && vocabSize === 154880;
  return isGlm ? "sigmoid" : "softmax";
}
