/** As families_test.ts, of models whose streams are gated and whose tokens name rows. */
import type {
  GroupIndexerConfig,
  ModelDescription,
  NgramConfig,
  NgramTensors,
} from "../../src/model/mod.ts";
import { mapLayers, withConfig } from "./changed_description.ts";

/** Beside those of other families. */
export const GATED_MISTAKES = {
  "streams gated as neurons' are": (d: ModelDescription) =>
    mapLayers(d, ({ gated, ...l }) => ({
      ...l,
      gated: gated && { ...gated, attention: gated.feedForward },
    })),
  "streams given what neurons' are": (d: ModelDescription) =>
    mapLayers(d, ({ gated, ...l }) => ({
      ...l,
      gated: gated && {
        ...gated,
        attention: { ...gated.attention, inject: gated.feedForward.inject },
      },
    })),
  "states gated through SiLU": (d: ModelDescription) =>
    withConfig(d, ({ stateSpace }) => ({
      stateSpace: stateSpace && { ...stateSpace, gatesBySigmoid: undefined },
    })),
  "all groups": (d: ModelDescription) => withRatio(d, undefined),
  "groups of two": (d: ModelDescription) => withRatio(d, 2),
  "one group less": (d: ModelDescription) =>
    withIndexer(d, ({ keyCount }) => ({ keyCount: keyCount - 4 })),
  "an indexer's first head alone": (d: ModelDescription) =>
    withIndexer(
      mapLayers(d, ({ groupIndexer: own, ...l }) => ({
        ...l,
        groupIndexer: own && { ...own, query: { ...own.query, rows: 32 } },
      })),
      () => ({ headCount: 1 }),
    ),
  "tokens that name nothing": (d: ModelDescription) =>
    mapLayers(d, (l) => ({ ...l, ngrams: undefined })),
  "names without the last token but one": (d: ModelDescription) =>
    withNames(d, ({ multipliers }) => ({
      multipliers: multipliers.map((value, i) => i < 8 ? value : 0),
    })),
  "names that no token ends": (d: ModelDescription) => withNames(d, () => ({ endToken: 511 })),
  "heads of names in reverse": (d: ModelDescription) =>
    withNames(d, ({ heads }) => ({ heads: heads.toReversed() })),
  "names' first values for all": (d: ModelDescription) =>
    mapNames(d, ({ value, key }) => ({ value: { ...key, rows: value.rows } })),
  "what is named convolved as queries are": (d: ModelDescription) =>
    mapNames(d, ({ queryNorm }) => ({ valueNorm: queryNorm })),
};

export const GATED_CHOICES = [
  ...["streams gated as neurons' are", "streams given what neurons' are"] as const,
  ...["states gated through SiLU", "all groups", "groups of two", "one group less"] as const,
  ...["an indexer's first head alone"] as const,
  ...["tokens that name nothing", "names without the last token but one"] as const,
  ...["names that no token ends", "heads of names in reverse"] as const,
  ...["names' first values for all", "no shared expert"] as const,
  ...["what is named convolved as queries are", "heads gated by queries"] as const,
] as const;

function withRatio(d: ModelDescription, ratio: number | undefined): ModelDescription {
  return withConfig(d, ({ layers }) => ({
    layers: layers.map((layer) => layer.groupRatio ? { ...layer, groupRatio: ratio } : layer),
  }));
}

function withIndexer(
  d: ModelDescription,
  change: (indexer: GroupIndexerConfig) => Partial<GroupIndexerConfig>,
): ModelDescription {
  return withConfig(d, ({ groupIndexer: own }) => ({
    groupIndexer: own && { ...own, ...change(own) },
  }));
}

function withNames(
  d: ModelDescription,
  change: (ngrams: NgramConfig) => Partial<NgramConfig>,
): ModelDescription {
  return withConfig(d, ({ ngrams }) => ({ ngrams: ngrams && { ...ngrams, ...change(ngrams) } }));
}

function mapNames(
  d: ModelDescription,
  change: (tensors: NgramTensors) => Partial<NgramTensors>,
): ModelDescription {
  return mapLayers(d, ({ ngrams, ...l }) => ({
    ...l,
    ngrams: ngrams && { ...ngrams, ...change(ngrams) },
  }));
}
