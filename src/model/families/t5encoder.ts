/** The encoder of T5: biases of scores by distance, unscaled scores, GEGLU or plain ReLU. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "t5encoder"`: T5, Flan-T5, Sentence-T5. */
export const t5encoder: Family = {
  ...COMMON,
  architecture: "t5encoder",
  isEncoder: true,
  nameInFile: (name) =>
    name.replace(/^blk\.(\d+)\.(?:attn_output\.)?/, (own, block) => {
      return `enc.blk.${block}.${own.endsWith("attn_output.") ? "attn_o." : ""}`;
    }),
  positions: "bucketed",
  outputNorm: "enc.output_norm",
  feedForward: { activation: "gelu", isGated: true, activatesUp: false },
  fusesGateAndUp: "said",
  ungatedActivation: "relu",
  scales: () => ({ attention: 1 }),
};
