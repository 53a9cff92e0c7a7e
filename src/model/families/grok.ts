/** Grok 1 and 2: soft caps, norms behind both blocks; in the second a dense block, too. */
import { COMMON, type Family } from "../family.ts";

/** The family `general.architecture = "grok"`. */
export const grok: Family = {
  ...COMMON,
  architecture: "grok",
  positions: "neox",
  hasPostNorms: true,
  feedForward: { activation: "gelu", isGated: true, activatesUp: false },
  attentionSoftCap: 30,
  logitSoftCap: 0,
  attentionScaleKey: "attention.output_scale",
  logitScale: "multiplies",
  // What Grok 1's files, which are older than the keys, do not say.
  scales: () => ({
    embedding: 78.38367176906169,
    attention: 0.08838834764831845,
    logit: 0.5773502691896257,
  }),
  experts: {
    isRequired: false,
    gating: "softmax",
    normalizesWeights: true,
    routerInput: "feedForward",
    sharedExpert: "dense",
    jointWeight: Math.SQRT1_2,
  },
};
