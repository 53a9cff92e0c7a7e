/** As families_test.ts, of rarer families: which mistakes show, and mistakes of theirs alone. */
import type { ModelDescription } from "../../src/model/mod.ts";
import type { RARER_FAMILIES } from "../support/tiny_rarer_families.ts";
import { mapLayers, withConfig } from "./changed_description.ts";

/** Beside those of other families. */
export const RARER_MISTAKES = {
  "heads as they are": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, attentionGate: null })),
  "one curve for all layers": (d: ModelDescription) =>
    withConfig(d, ({ layers: [first, ...others] }) => ({
      layers: [first, ...others.map((layer) => ({ ...layer, curve: first.curve }))],
    })),
  "one epsilon for all norms": (d: ModelDescription) =>
    withConfig(d, ({ norm }) => ({ norm: { ...norm, postEpsilon: norm.epsilon } })),
  "gates by sigmoid": (d: ModelDescription) =>
    mapLayers(d, (l) => ({
      ...l,
      attentionGate: l.attentionGate && { ...l.attentionGate, activation: "sigmoid" },
    })),
  "latents' queries as long as ever": (d: ModelDescription) =>
    withConfig(d, () => ({ queryTemperature: null })),
  "no limits": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => ({ ...layer, limits: undefined })),
    })),
  "one limit for all experts": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => (
        { ...layer, limits: layer.limits && { ...layer.limits, others: layer.limits.experts } }
      )),
    })),
  "values as they are made": (d: ModelDescription) => withConfig(d, () => ({ valueScale: 1 })),
  "heads merged as they are": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, innerNorm: undefined })),
  "neurons merged as they are": (d: ModelDescription) =>
    mapLayers(d, (l) => {
      const { feedForward } = l;
      if (feedForward?.kind !== "dense") return l;
      return { ...l, feedForward: { ...feedForward, innerNorm: undefined } };
    }),
};

const INNER = ["heads merged as they are", "neurons merged as they are"] as const;

/** By family. */
export const RARER_CHOICES = {
  "afmoe": [
    ...["experts in reverse", "no bias of the choice", "no shared expert", "softmax"],
    ...["heads as they are", "no head norms", "no post norms", "no windows", "every layer rotated"],
    ...["embeddings as they are", "neighbouring pairs"],
  ],
  "bitnet": [...INNER, "ReLU", "neighbouring pairs"],
  "muse-glimmer": [
    ...["heads as they are", "no head norms", "no post norms", "no windows", "every layer rotated"],
    ...["embeddings as the table has them", "one epsilon for all norms", "no cap of logits"],
    ...["logits as they are", "pairs half a head apart"],
  ],
  "laguna": [
    ...["experts in reverse", "no bias of the choice", "no shared expert", "softmax"],
    ...["heads as they are", "gates by sigmoid", "no head norms", "no windows"],
    ...["one rope for all layers", "context not stretched", "neighbouring pairs"],
  ],
  "laguna-unwindowed": ["heads as they are", "gates by sigmoid", "no head norms", "softmax"],
  "spark2_5": [
    ...["heads as they are", "SiLU", "no windows", "one rope for all layers", "neighbouring pairs"],
  ],
  "maple": [
    ...["experts in reverse", "weights not normalised", "no limits", "no head norms"],
    ...["no windows", "every layer rotated", "neighbouring pairs"],
  ],
  "step35": [
    ...["experts in reverse", "no bias of the choice", "no shared expert", "softmax"],
    ...["no limits", "one limit for all experts", "heads as they are", "no head norms"],
    ...["no windows", "one rope for all layers", "neighbouring pairs"],
  ],
  "mimo2": [
    ...["experts in reverse", "no bias of the choice", "weights not normalised", "softmax"],
    ...["no sinks", "values as they are made", "no windows", "one rope for all layers"],
    ...["neighbouring pairs"],
  ],
  "mimo2-fused": ["no sinks", "neighbouring pairs"],
  "mistral4": [
    ...["experts in reverse", "weights not normalised", "no shared expert"],
    ...["latents' queries as long as ever", "scores as they are", "context not stretched"],
  ],
  "apertus": ["no head norms", "neighbouring pairs", "SiLU", "one curve for all layers"],
  "openelm": ["no head norms", "neighbouring pairs", "key and value exchanged"],
  "deci": ["pairs half a head apart", "key and value exchanged", "gate and up exchanged"],
  "bitnet-b1.58": [...INNER, "SiLU", "ReLU", "neighbouring pairs"],
} as const satisfies Readonly<Record<keyof typeof RARER_FAMILIES, readonly string[]>>;
