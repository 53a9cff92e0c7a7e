/** As singular_choices.ts, of models that compress keys and mix streams. */
import type {
  CompressedTensors,
  CompressionConfig,
  ModelDescription,
} from "../../src/model/mod.ts";
import { mapLayers, mapMixtures, withConfig } from "./changed_description.ts";

/** Beside those of other families. */
export const COMPRESSED_MISTAKES = {
  "no compressed keys": (d: ModelDescription) =>
    withCompressed(d, (own) => ({ ...own, keys: null, indexer: null })),
  "all compressed keys": (d: ModelDescription) =>
    withCompressed(d, (own) => ({ ...own, indexer: null })),
  "one compressed key less": (d: ModelDescription) =>
    withIndexer(d, ({ keyCount }) => ({ keyCount: keyCount - 1 })),
  "an indexer's counts otherwise": (d: ModelDescription) =>
    withCompressed(d, ({ indexer, ...own }) => ({
      ...own,
      indexer: indexer && { ...indexer, weights: { ...own.queryDown.matrix, rows: 8 } },
    })),
  "keys and gates exchanged": (d: ModelDescription) =>
    withCompressed(d, ({ keys, ...own }) => ({
      ...own,
      keys: keys && { ...keys, key: keys.gate, gate: keys.key },
    })),
  "heads not turned back": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => ({ ...layer, backRope: layer.rope! })),
    })),
  "one rope for all ratios": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => ({ ...layer, rope: 0, backRope: 1 })),
    })),
  "one round": (d: ModelDescription) =>
    withConfig(d, ({ hyper }) => ({ hyper: { ...hyper!, rounds: 1 } })),
  "streams mixed as neurons' are": (d: ModelDescription) =>
    mapLayers(d, (l) => ({
      ...l,
      hyper: l.hyper && { ...l.hyper, attention: l.hyper.feedForward },
    })),
  "listed experts chosen": (d: ModelDescription) =>
    mapMixtures(d, () => ({ expertsOfTokens: undefined })),
  "sigmoid for the root": (d: ModelDescription) =>
    withConfig(d, ({ experts }) => ({ experts: experts && { ...experts, gating: "sigmoid" } })),
};

/** Of a text that is too short for a key of 128 tokens. */
export const COMPRESSED_CHOICES = [
  ...["no compressed keys", "all compressed keys", "one compressed key less"] as const,
  ...["an indexer's counts otherwise", "keys and gates exchanged"] as const,
  ...["heads not turned back", "one rope for all ratios", "one round"] as const,
  ...["streams mixed as neurons' are", "listed experts chosen", "sigmoid for the root"] as const,
  ...["no windows", "no sinks", "no limits", "experts in reverse", "no shared expert"] as const,
  ...["no bias of the choice", "weights not normalised", "context not stretched"] as const,
  "pairs half a head apart",
] as const;

function withIndexer(
  d: ModelDescription,
  change: (indexer: CompressionConfig["indexer"]) => Partial<CompressionConfig["indexer"]>,
): ModelDescription {
  return withConfig(d, ({ compression }) => {
    const { indexer } = compression!;
    return { compression: { ...compression!, indexer: { ...indexer, ...change(indexer) } } };
  });
}

function withCompressed(
  d: ModelDescription,
  change: (tensors: CompressedTensors) => CompressedTensors,
): ModelDescription {
  return mapLayers(d, (l) => ({ ...l, compressed: l.compressed && change(l.compressed) }));
}
