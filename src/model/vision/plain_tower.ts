/** What sets every tower apart from models of text. Data only. */

/** What towers have not. */
export const PLAIN = {
  ...{ latent: null, stateSpace: null, altUp: null, experts: null, queryTemperature: null },
  ...{ attentionSoftCap: 0, alibiMaxBias: 0, valueScale: 1, projectionClamp: 0 },
  ...{ hasParallelBlocks: false, gatesAttention: false, normalizesTurnedHeads: false },
  ...{ layerInputLength: 0, embeddingScale: 1, residualScale: 1, logitScale: 1, logitSoftCap: 0 },
  ...{ tiedEmbeddings: true, predictorThreshold: 0 },
};
