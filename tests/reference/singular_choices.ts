/** As families_test.ts, of families of a kind of their own. */
import type {
  IndexerConfig,
  IndexerTensors,
  MatrixTensor,
  ModelDescription,
} from "../../src/model/mod.ts";
import type { SINGULAR_FAMILIES } from "../support/tiny_singular_families.ts";
import { COMPRESSED_CHOICES, COMPRESSED_MISTAKES } from "./compressed_choices.ts";
import { mapLayers, mapMixtures, withConfig, withExperts } from "./changed_description.ts";

/** Beside those of other families. */
export const SINGULAR_MISTAKES = {
  ...COMPRESSED_MISTAKES,
  "all keys": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => ({ ...layer, choosesKeys: undefined })),
    })),
  "one key less": (d: ModelDescription) =>
    withIndexer(d, (indexer) => ({ keyCount: indexer.keyCount - 1 })),
  "an indexer's pairs otherwise": (d: ModelDescription) =>
    withIndexer(d, ({ pairs }) => ({ pairs: pairs === "neox" ? "norm" : "neox" })),
  "an indexer turns other dimensions": (d: ModelDescription) =>
    withIndexer(d, () => ({ start: undefined })),
  "heads not gated": (d: ModelDescription) => mapLayers(d, (l) => ({ ...l, attentionGate: null })),
  "gates as heads have them": (d: ModelDescription) =>
    mapLayers(d, ({ attentionGate: gate, ...l }) => ({
      ...l,
      attentionGate: gate && { ...gate, activation: "softplus" as const },
    })),
  "scores stretched, too": (d: ModelDescription) =>
    withConfig(d, ({ attentionScale }) => ({
      attentionScale: attentionScale * (1 + 0.1 * Math.log(8)) ** 2,
    })),
  "turned parts as they are": (d: ModelDescription) =>
    mapLayers(d, ({ latent, ...l }) => ({
      ...l,
      latent: latent && { ...latent, turnedNorm: undefined },
    })),
  "scores alike in all layers": (d: ModelDescription) =>
    withConfig(d, ({ layers, attentionScale }) => ({
      layers: layers.map((l) => ({ ...l, shape: l.shape && { ...l.shape, attentionScale } })),
    })),
  "streams that take twice": (d: ModelDescription) =>
    withConfig(d, ({ hyper }) => ({ hyper: { ...hyper!, magnitude: 2 } })),
  "streams that may take nothing": (d: ModelDescription) =>
    withConfig(d, ({ hyper }) => ({ hyper: { ...hyper!, least: -0.1 } })),
  "streams read as they are": (d: ModelDescription) =>
    withConfig(d, ({ hyper }) => ({ hyper: { ...hyper!, epsilon: 1 } })),
  "the shared expert limited, too": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((l) => ({
        ...l,
        limits: l.limits && { ...l.limits, others: l.limits.experts },
      })),
    })),
  "an indexer's keys hardly normalised": (d: ModelDescription) =>
    withIndexer(d, () => ({ epsilon: 1 })),
  "an indexer's heads count alike": (d: ModelDescription) =>
    changeIndexers(d, ({ weights, ...others }) => ({
      ...others,
      weights: { ...weights, ...others.key, rows: weights.rows },
    })),
  "no norm's bias in the indexer": (d: ModelDescription) =>
    changeIndexers(d, ({ keyNorm: { weight }, ...others }) => ({
      ...others,
      keyNorm: { weight, bias: weight },
    })),
  "no choice in the last layer": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((l, index) => index === 3 ? { ...l, choosesKeys: undefined } : l),
    })),
  "experts behind attention": (d: ModelDescription) =>
    mapMixtures(d, ({ inputNorm: _, ...block }) => ({ ...block, inputNorm: undefined })),
  "norms exchanged": (d: ModelDescription) =>
    mapLayers(d, (l) => {
      const { feedForward, feedForwardNorm } = l;
      if (feedForward?.kind !== "experts" || feedForward.inputNorm === undefined) return l;
      const exchanged = { ...feedForward, inputNorm: feedForwardNorm! };
      return { ...l, feedForward: exchanged, feedForwardNorm: feedForward.inputNorm };
    }),
  "texts read as images": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, attentionOutput: ofImages(l.attentionOutput!) })),
  "no companions": (d: ModelDescription) => mapMixtures(d, () => ({ companions: undefined })),
  "companions in reverse": (d: ModelDescription) =>
    mapMixtures(d, ({ companions }) => ({ companions: companions?.toReversed() })),
  "companions counted whole": (d: ModelDescription) =>
    withExperts(d, { companions: { ...d.config.experts!.companions!, weight: 1 } }),
  "no biases of heads' norms": (d: ModelDescription) =>
    mapLayers(d, (l) => ({
      ...l,
      queryNorm: l.queryNorm && { ...l.queryNorm, bias: undefined },
      keyNorm: l.keyNorm && { ...l.keyNorm, bias: undefined },
    })),
  "heads normalised as the stream": (d: ModelDescription) =>
    withConfig(d, () => ({ headNorm: undefined })),
  "the first blocks only": (d: ModelDescription) =>
    withConfig(d, ({ blockCount }) => ({ blockCount: blockCount / 2 })),
  "passes not normalised": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, endNorm: undefined })),
  "passes hand on to the first state": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => layer.passEnd ? { ...layer, passEnd: { stream: 0 } } : layer),
    })),
  "embedding added once": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, embeddingScale: undefined })),
  "attention counted whole": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, attentionScale: undefined })),
  "neurons counted whole": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, feedForwardScale: undefined })),
  "heads without gains": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, queryNorm: l.queryNorm && { ...l.queryNorm, gain: undefined } })),
};

function withIndexer(
  d: ModelDescription,
  change: (indexer: IndexerConfig) => Partial<IndexerConfig>,
): ModelDescription {
  return withConfig(d, ({ indexer }) => ({ indexer: { ...indexer!, ...change(indexer!) } }));
}

function changeIndexers(
  d: ModelDescription,
  change: (indexer: IndexerTensors) => IndexerTensors,
): ModelDescription {
  return mapLayers(d, (l) => {
    const { latent } = l;
    if (!latent?.indexer) return l;
    return { ...l, latent: { ...latent, indexer: change(latent.indexer) } };
  });
}

const MOE = ["experts in reverse", "weights not normalised"] as const;

function ofImages(matrix: MatrixTensor): MatrixTensor {
  return { ...matrix, tensor: matrix.tensor.replace("attn_", "vis_attn_") };
}

/** By family. */
export const SINGULAR_CHOICES = {
  "arctic": [
    ...MOE,
    ...["experts behind attention", "norms exchanged", "no shared expert"] as const,
    "pairs half a head apart",
  ],
  "grovemoe": [
    ...MOE,
    ...["no companions", "companions in reverse", "companions counted whole"] as const,
    ...["no head norms", "neighbouring pairs"] as const,
  ],
  "chameleon": [
    ...["no head norms", "no biases of heads' norms", "heads normalised as the stream"] as const,
    ...["pairs half a head apart"] as const,
  ],
  "chameleon-behind": [
    ...["no post norms", "post norms before the blocks"] as const,
    "heads normalised as the stream",
  ],
  "minimax-m3": [
    ...[...MOE, "no shared expert", "no bias of the choice", "softmax", "SiLU"] as const,
    ...["no head norms", "neighbouring pairs", "all dimensions rotated"] as const,
    "gate and up exchanged",
  ],
  "cogvlm": ["neighbouring pairs", "gate and up exchanged", "texts read as images"],
  "nanbeige": ["the first blocks only", "passes not normalised", "pairs half a head apart"],
  "nanbeige-plain": ["the first blocks only", "pairs half a head apart"],
  "hrm_text": [
    ...["the first blocks only", "passes hand on to the first state"] as const,
    ...["heads as they are", "embeddings as they are", "neighbouring pairs"] as const,
  ],
  "deepseek32": [
    ...["no bias of the choice", "no shared expert", "context not stretched"] as const,
  ],
  "glm-dsa": ["softmax", "pairs half a head apart"],
  "deepseek4": COMPRESSED_CHOICES,
  "dots3note": [
    ...[...MOE, "heads not gated", "gates as heads have them", "no windows"] as const,
    ...["a window more", "one rope for all layers", "turned parts as they are"] as const,
    ...["scores alike in all layers", "no shared expert", "no bias of the choice"] as const,
    "pairs half a head apart",
  ],
  "dots3note-chosen": [
    ...["all keys", "one key less", "an indexer's pairs otherwise"] as const,
    ...["an indexer's heads count alike", "an indexer's keys hardly normalised"] as const,
    ...["scores stretched, too", "context not stretched"] as const,
  ],
  "hy_v4": [
    ...[...MOE, "no sinks", "heads not gated", "gates as heads have them"] as const,
    ...["streams that take twice", "streams that may take nothing"] as const,
    ...["streams read as they are", "streams mixed as neurons' are", "no limits"] as const,
    ...["the shared expert limited, too", "no shared expert", "no bias of the choice"] as const,
    "pairs half a head apart",
  ],
  "hy_v4-chosen": [
    ...["all keys", "one key less", "an indexer's pairs otherwise"] as const,
    ...["an indexer turns other dimensions", "no choice in the last layer"] as const,
    ...["no norm's bias in the indexer", "an indexer's keys hardly normalised"] as const,
    "scores stretched, too",
  ],
  "deepseek32-chosen": [
    ...["all keys", "one key less", "an indexer's pairs otherwise"] as const,
    ...["an indexer's keys hardly normalised", "an indexer's heads count alike"] as const,
    "no norm's bias in the indexer",
  ],
  "glm-dsa-chosen": [
    ...["all keys", "one key less", "an indexer's pairs otherwise"] as const,
    "no choice in the last layer",
  ],
  "talkie": [
    ...["embedding added once", "heads without gains"] as const,
    ...["no head norms", "logits as they are", "embeddings as the table has them"] as const,
    "neighbouring pairs",
  ],
  "talkie-scaled": ["attention counted whole", "neurons counted whole"],
} as const satisfies Readonly<Record<keyof typeof SINGULAR_FAMILIES, readonly string[]>>;
