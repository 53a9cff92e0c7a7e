/** As families_test.ts, of families whose layers differ. */
import type { ModelDescription } from "../../src/model/mod.ts";
import type { LAYERED_FAMILIES } from "../support/tiny_layered_families.ts";
import { mapLayers, mapMixtures, withAltUp, withConfig, withEnds } from "./changed_description.ts";

/** Beside those of other families. */
export const LAYERED_MISTAKES = {
  "values as they are": (d: ModelDescription) => mapLayers(d, (l) => ({ ...l, valueNorm: null })),
  "nothing given to layers": (d: ModelDescription) => mapLayers(d, (l) => ({ ...l, input: null })),
  "layers not scaled": (d: ModelDescription) => mapLayers(d, (l) => ({ ...l, outputScale: null })),
  "all dimensions turned": (d: ModelDescription) =>
    withConfig(d, ({ ropes }) => ({ ropes: ropes.map((rope) => ({ ...rope, factors: null })) })),
  "keys of the layer before": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => layer.keysOf === 1 ? { ...layer, keysOf: 0 } : layer),
    })),
  "gates as they are": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map(({ gateCutoff: _, ...layer }) => layer),
    })),
  "gates cut off elsewhere": (d: ModelDescription) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => layer.gateCutoff === 1 ? { ...layer, gateCutoff: 0.9 } : layer),
    })),
  "starts in reverse": (d: ModelDescription) =>
    withEnds(d, ({ starts, ends }) => ({ starts: starts.toReversed(), ends })),
  "ends in reverse": (d: ModelDescription) =>
    withEnds(d, ({ starts, ends }) => ({ starts, ends: ends.toReversed() })),
  "modes of another norm": (d: ModelDescription) =>
    withAltUp(d, ({ bypass }) => ({ routerNorm: bypass.norm })),
  "guesses of another layer": (d: ModelDescription) =>
    withAltUp(d, ({ guess }) => ({
      guess: { ...guess, tensor: "blk.5.altup_predict_coef.weight" },
    })),
  "corrections of another layer": (d: ModelDescription) =>
    withAltUp(d, ({ correction }) => ({
      correction: { ...correction, tensor: "blk.5.altup_correct_coef.weight" },
    })),
  "another norm around attention": (d: ModelDescription) =>
    withAltUp(d, ({ routerNorm, bypass }) => ({ bypass: { ...bypass, norm: routerNorm } })),
  "inputs read the stream as it is": (d: ModelDescription) =>
    withAltUp(d, ({ bypass }) => ({ scale: bypass.norm.weight! })),
  "experts not scaled": (d: ModelDescription) => mapMixtures(d, () => ({ scales: null })),
  "router reads what experts read": (d: ModelDescription) =>
    mapLayers(d, (l) => {
      const { feedForward, feedForwardNorm } = l;
      if (feedForward?.kind !== "experts" || feedForward.apart === null) return l;
      const apart = { ...feedForward.apart, routerNorm: feedForwardNorm! };
      return { ...l, feedForward: { ...feedForward, apart } };
    }),
  "dense block's norms exchanged": (d: ModelDescription) =>
    mapMixtures(d, ({ apart }) => ({
      apart: apart &&
        { ...apart, sharedNorm: apart.sharedPostNorm, sharedPostNorm: apart.sharedNorm },
    })),
};

/** By family. */
export const LAYERED_CHOICES = {
  "gemma3n": [
    ...["values as they are", "nothing given to layers", "keys of the layer before"],
    ...["no windows", "no head norms", "no post norms", "no cap of logits"],
    ...["gates as they are", "gates cut off elsewhere", "starts in reverse", "ends in reverse"],
    ...["modes of another norm", "guesses of another layer", "corrections of another layer"],
    ...["another norm around attention", "inputs read the stream as it is"],
  ],
  "gemma4": [
    ...["values as they are", "nothing given to layers", "layers not scaled"],
    ...["all dimensions turned", "keys of the layer before", "no windows", "no head norms"],
    ...["no post norms", "no cap of logits"],
  ],
  "gemma4-moe": [
    ...["experts in reverse", "one expert fewer"],
    ...["experts not scaled", "router reads what experts read", "dense block's norms exchanged"],
    ...["values as they are", "all dimensions turned", "layers not scaled"],
  ],
} as const satisfies Readonly<Record<keyof typeof LAYERED_FAMILIES, readonly string[]>>;
