/** As families_test.ts, of wider families: which mistakes show, and mistakes of theirs alone. */
import type { ModelDescription } from "../../src/model/mod.ts";
import type { WIDER_FAMILIES } from "../support/tiny_wider_families.ts";
import { mapLayers, withConfig, withExperts } from "./changed_description.ts";

/** Beside those of other families. */
export const WIDER_MISTAKES = {
  "norms without biases": (d: ModelDescription) =>
    mapLayers(d, (l) => ({
      ...l,
      attentionNorm: l.attentionNorm && { ...l.attentionNorm, bias: null },
    })),
  "embeddings as the table has them": ({ config, tensors }: ModelDescription) => (
    { config, tensors: { ...tensors, embeddingNorm: null } }
  ),
  "no slopes": (d: ModelDescription) => withConfig(d, () => ({ alibiMaxBias: 0 })),
  "another slope": (d: ModelDescription) =>
    withConfig(d, ({ alibiMaxBias }) => ({ alibiMaxBias: 1.5 * alibiMaxBias })),
  "nothing cut off": (d: ModelDescription) => withConfig(d, () => ({ projectionClamp: 0 })),
  "what experts give weighed": (d: ModelDescription) => withExperts(d, { weighsInputs: undefined }),
  "no chunks": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => ({ ...layer, attentionChunk: undefined })),
    })),
  "windows for chunks": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map(({ attentionChunk: slidingWindow = 0, ...layer }) => ({
        ...layer,
        slidingWindow,
      })),
    })),
  "every layer rotated": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({ layers: layers.map((layer) => ({ ...layer, rope: 0 })) })),
};

/** By family. */
export const WIDER_CHOICES = {
  "bailingmoe2": [
    ...["experts in reverse", "one expert fewer", "experts of all groups"],
    ...["no head norms", "no shared expert", "softmax", "neighbouring pairs"],
  ],
  "deepseek2-ocr": ["experts in reverse", "weights normalised", "neighbouring pairs"],
  "hunyuan_vl": ["no head norms", "another base"],
  "granite_swa": [
    ...["experts in reverse", "no shared expert", "no windows", "no sinks"],
    ...["every layer rotated", "blocks as they are", "attention scaled as usual"],
  ],
  "plamo3": ["no windows", "no post norms", "no head norms", "one rope for all layers"],
  "minicpm3": ["blocks as they are", "embeddings as they are", "neighbouring pairs"],
  "plm": ["ReLU", "keys taken for values", "pairs half a head apart"],
  "phimoe": [
    ...["experts in reverse", "weights not normalised", "norms without biases"],
    ...["no biases", "no bias of the output"],
  ],
  "grok": [
    ...["experts in reverse", "no shared expert"],
    ...["no post norms", "no cap of scores", "no cap of logits"],
  ],
  "bloom": ["no slopes", "embeddings as the table has them", "no bias of the neurons", "RMS norms"],
  "mpt": ["no slopes", "another slope", "nothing cut off", "SiLU"],
  "refact": ["no slopes", "another slope"],
  "jais": ["no slopes", "another slope", "no bias of the block's output", "GELU"],
  "olmo": ["nothing cut off", "RMS norms", "pairs half a head apart"],
  "dbrx": ["experts in reverse", "weights not normalised", "nothing cut off", "RMS norms"],
  "llama4": [
    ...["experts in reverse", "no shared expert", "what experts give weighed"],
    ...["no head norms", "every layer rotated", "softmax"],
  ],
  "llama4-chunked": ["what experts give weighed", "no chunks", "windows for chunks"],
} as const satisfies Readonly<Record<keyof typeof WIDER_FAMILIES, readonly string[]>>;
