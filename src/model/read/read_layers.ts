/**
 * Metadata keys to windows and rotary embeddings, layer by layer. Knows patterns of layers; looks
 * at tensors only for rotary factors, which no key announces.
 */
import type { GgufFile } from "../../gguf/mod.ts";
import type { AlternatingWindows, Family } from "../family.ts";
import { type Hyperparameters, isListFor } from "./hyperparameters.ts";
import { hasSections, readRopeAxes } from "./read_rope_axes.ts";
import { readRopeScaling } from "./read_rope_scaling.ts";
import type { LayerConfig, RopeConfig, VectorTensor } from "../types.ts";

/** Divisors of long-rope: for contexts up to the original one, and for longer ones. */
export const LONG_ROPE_FACTORS = ["rope_factors_short.weight", "rope_factors_long.weight"] as const;

/** What the layers have in common. */
export interface LayerShape {
  readonly blockCount: number;
  readonly headDim: number;
  /** Scores fall with distance: heads are not rotated. */
  readonly isSloped: boolean;
  /** Tokens. */
  readonly trainedContext: number;
  /** Tokens; more than the original context of long-rope choose its long factors. */
  readonly usedContext: number;
  /** Layers before mixtures. */
  readonly leadingDenseCount: number;
}

interface Layers {
  readonly ropes: readonly RopeConfig[];
  readonly layers: readonly LayerConfig[];
}

/** Scaling that does nothing. */
const UNSCALED = { type: "none", factor: 1, attentionFactor: 1, extrapolation: 0 } as const;

/**
 * The rotary embeddings of a model, and which of them, and what window, each layer has.
 * @throws {ModelFormatError} when a key is out of range.
 * @throws {UnsupportedModelError} when the scaling or the pattern is none this version computes.
 */
export function readLayers(
  file: GgufFile,
  keys: Hyperparameters,
  family: Family,
  shape: LayerShape,
): Layers {
  const { windows } = family;
  const rope = readRope(file, keys, family, shape);
  const ropes = rope === null ? [] : [rope];
  const global = { slidingWindow: 0, rope: rope === null ? null : 0 };
  const window = readWindow(keys, family);
  if (rope !== null && family.hasAttentionTemperature) {
    const turning = readTemperature(keys, rope, shape);
    if (turning !== null) {
      const layer = { slidingWindow: window, rope: 0, queryRope: 1 };
      return { ropes: [rope, turning], layers: Array(shape.blockCount).fill(layer) };
    }
  }
  let layers: LayerConfig[] = Array(shape.blockCount).fill({ ...global, slidingWindow: window });
  if (typeof windows === "object" && window > 0) {
    const local = rope && localRope(keys, windows, rope, shape);
    if (local && local !== rope) ropes.push(local);
    const seen = windows.areChunks
      ? { slidingWindow: 0, attentionChunk: window }
      : { slidingWindow: window };
    const windowed = { ...seen, rope: local && ropes.indexOf(local) };
    const unwindowed = windows.globalIsUnrotated
      ? { ...global, rope: null, ...unrotatedQueries(windows, rope, ropes) }
      : global;
    const isGlobal = readPattern(keys, windows, shape.blockCount);
    const rotated = windows.rotatesLeading ? shape.leadingDenseCount : 0;
    layers = isGlobal.map((sees, index) =>
      !sees ? windowed : index < rotated ? global : unwindowed
    );
  }
  const isRotated = readRotated(keys, family, shape.blockCount);
  return {
    ropes,
    layers: layers.map((layer, index) => isRotated(index) ? layer : { ...layer, rope: null }),
  };
}

/** What turns queries and makes them longer, too; null: the file names no temperature. */
function readTemperature(
  keys: Hyperparameters,
  rope: RopeConfig,
  { headDim }: LayerShape,
): RopeConfig | null {
  const key = "attention.temperature_scale";
  const scale = keys.float(key, { min: -Infinity, absent: 0 });
  if (scale === 0) return null;
  if (scale < 0) throw keys.wrong(key, "0 or more");
  if (rope.dimensionCount !== headDim) {
    throw keys.wrong("rope.dimension_count", `the head dimension, ${headDim}`);
  }
  const length = rope.scaling.originalContextLength;
  return { ...rope, temperature: { scale, length, first: 0 } };
}

/** What makes queries longer that nothing turns: a rope whose positions are divided by infinity. */
function unrotatedQueries(
  { temperature }: AlternatingWindows,
  rope: RopeConfig | null,
  ropes: RopeConfig[],
): Pick<LayerConfig, "queryRope"> {
  if (rope === null || temperature === undefined) return {};
  const scaling = { ...rope.scaling, ...UNSCALED, type: "linear", factor: Infinity } as const;
  return { queryRope: ropes.push({ ...rope, scaling, factors: null, temperature }) - 1 };
}

/** Tokens that windowed layers see, up to the token itself; 0: there are none. */
function readWindow(keys: Hyperparameters, { windows, isEncoder }: Family): number {
  if (windows === "none") return 0;
  const absent = windows === "all" ? 0 : windows.defaultLength;
  const window = keys.integer("attention.sliding_window", { min: 0, absent });
  // A token is in the middle of an encoder's, and sees as many behind it.
  return isEncoder && window > 0 ? Math.floor(window / 2) + 1 : window;
}

/** Which layers are rotated that have a rope: the family says, or a list of the file. */
function readRotated(
  keys: Hyperparameters,
  { unrotatedPeriod: period, listsRotated }: Family,
  blockCount: number,
): (index: number) => boolean {
  const key = "attention.rope_pattern";
  if (!listsRotated || !keys.has(key)) {
    return (index) => period === 0 || index % period !== period - 1;
  }
  const said = readList(keys, key, blockCount);
  if (said === null) throw keys.wrong(key, `a list of ${blockCount}, one for each block`);
  return (index) => Boolean(said[index]);
}

/** A list with an item for each block; null: the key's value is none. */
function readList(keys: Hyperparameters, key: string, blockCount: number): unknown[] | null {
  const said = keys.value(key);
  if (typeof said !== "object" || !isListFor(keys, said.length, blockCount)) return null;
  const isList = Array.isArray(said) || ArrayBuffer.isView(said);
  return isList ? Array.from(said as ArrayLike<unknown>).slice(0, blockCount) : null;
}

/** Which layers see everything. Files give the length of the pattern, or a list of windows. */
function readPattern(
  keys: Hyperparameters,
  windows: AlternatingWindows,
  blockCount: number,
): boolean[] {
  const key = "attention.sliding_window_pattern";
  const said = keys.value(key);
  if (typeof said === "object") {
    const windowed = readList(keys, key, blockCount);
    if (windowed !== null) return windowed.map((hasWindow) => !hasWindow);
    throw keys.wrong(key, `a number, or a list of ${blockCount}, one for each block`);
  }
  const period = keys.integer(key, { min: 0, absent: windows.period });
  const at = windows.globalLayer === "first" ? 0 : period - 1;
  return Array.from({ length: blockCount }, (_, index) => period > 0 && index % period === at);
}

/** The rotary embedding of layers that see everything; null where positions are learned. */
function readRope(
  file: GgufFile,
  keys: Hyperparameters,
  family: Family,
  shape: LayerShape,
): RopeConfig | null {
  const { positions } = family;
  if (positions === "learned" || positions === "bucketed" || positions === "none") return null;
  if (positions === "sloped" || shape.isSloped) return null;
  if (family.rotationIsOptional && !keys.flag("rope.scaling.finetuned", true)) return null;
  const isApart = family.hasLatentAttention && family.latentStretch === "scores";
  const scaling = readRopeScaling(keys, shape.trainedContext, isApart);
  const said = readRotatedDimensions(keys, shape.headDim);
  const dimensionCount = turnsHalf(family.windows) ? said / 2 : said;
  if (dimensionCount % 2 !== 0) throw keys.wrong("rope.dimension_count", "a multiple of 4");
  const length = dimensionCount / 2;
  const isLong = shape.usedContext > scaling.originalContextLength;
  return {
    kind: hasSections(keys) ? family.positionsOfSections ?? positions : positions,
    ...readRopeAxes(keys, family, length),
    dimensionCount,
    frequencyBase: readBase(keys, family, shape.headDim),
    scaling,
    factors: haveOwnHeads(family)
      ? { tensor: "rope_freqs.weight", start: 0, length }
      : findFactors(file, length, isLong),
  };
}

function turnsHalf(windows: Family["windows"]): boolean {
  return typeof windows === "object" && windows.globalTurnsHalf === true;
}

/** Of windowed layers: the others are then rotated by factors. */
function haveOwnHeads({ windows }: Family): boolean {
  return typeof windows === "object" && windows.haveOwnHeads === true;
}

/** Stretched by alpha, a base is alpha^(d / (d - 2)) times as large. */
function readBase(keys: Hyperparameters, { mayStretchBase }: Family, headDim: number): number {
  const base = keys.float("rope.freq_base", { min: 0, absent: 10000 });
  const key = "rope.scaling.alpha";
  const alpha = mayStretchBase ? keys.float(key, { min: -Infinity, absent: 0 }) : 0;
  return alpha > 0 ? base * alpha ** (headDim / (headDim - 2)) : base;
}

/** One list of factors, or one for contexts within the original one and one for longer ones. */
function findFactors(file: GgufFile, length: number, isLong: boolean): VectorTensor | null {
  const vector = (tensor: string) => ({ tensor, start: 0, length });
  if (file.tensors.has("rope_freqs.weight")) return vector("rope_freqs.weight");
  if (!LONG_ROPE_FACTORS.some((tensor) => file.tensors.has(tensor))) return null;
  return vector(LONG_ROPE_FACTORS[isLong ? 1 : 0]);
}

/** The rotary embedding of windowed layers: `global` itself where it does not differ. */
function localRope(
  keys: Hyperparameters,
  windows: AlternatingWindows,
  global: RopeConfig,
  { headDim: globalDim }: LayerShape,
): RopeConfig {
  const absent = windows.localRopeBase ?? global.frequencyBase;
  const frequencyBase = keys.float("rope.freq_base_swa", { min: 0, absent });
  const { scaling } = global;
  if (windows.haveOwnHeads) {
    const headDim = keys.integer("attention.key_length_swa", { min: 1, absent: globalDim });
    const dimensionCount = readRotatedDimensions(keys, headDim, "_swa");
    return { ...global, dimensionCount, frequencyBase, factors: null };
  }
  const dimensionCount = windows.haveOwnRotation
    ? readRotatedDimensions(
      keys,
      globalDim,
      "_swa",
      global.dimensionCount * (turnsHalf(windows) ? 2 : 1),
    )
    : global.dimensionCount;
  const factors = windows.haveOwnRotation ? null : global.factors;
  const isSame = frequencyBase === global.frequencyBase &&
    dimensionCount === global.dimensionCount && factors === global.factors;
  const isScaled = scaling.type !== "none" || scaling.attentionFactor !== 1;
  if (windows.scalesLocalRope || !isScaled) {
    return isSame ? global : { ...global, frequencyBase, dimensionCount, factors };
  }
  return {
    ...global,
    frequencyBase,
    dimensionCount,
    factors,
    scaling: { ...scaling, ...UNSCALED },
  };
}

function readRotatedDimensions(
  keys: Hyperparameters,
  headDim: number,
  suffix = "",
  absent = headDim,
): number {
  const key = `rope.dimension_count${suffix}`;
  const count = keys.integer(key, { min: 1, absent });
  if (count > headDim || count % 2 !== 0) {
    throw keys.wrong(key, `even and at most the head dimension, ${headDim}`);
  }
  return count;
}
