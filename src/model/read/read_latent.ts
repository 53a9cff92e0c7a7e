/**
 * Metadata keys to the shape of latent attention. Knows the two forms that files have had: heads
 * as they are defined, or the one head that the cache keeps. Knows no tensors.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Family } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import { largestOf } from "./read_layer_shapes.ts";
import { ownKeyDim } from "../latent.ts";
import type { LatentConfig, QueryTemperature, RopeScaling } from "../types.ts";

/** Dimensions come in so many: float kernels read as many columns at once. */
const DIM_UNIT = 16;

/** Heads as attention reads them from the cache. */
export interface LatentHeads {
  readonly headCount: number;
  readonly headCountKv: number;
  readonly headDim: number;
  /** That of latents is their own. */
  readonly valueDim: number;
  readonly latent: LatentConfig;
}

/**
 * The heads of a model whose keys and values are made of latents.
 * @throws {ModelFormatError} when a key is missing, out of range, or contradicts another.
 * @throws {UnsupportedModelError} when widths have no kernel.
 */
export function readLatentHeads(keys: Hyperparameters, { layersDiffer }: Family): LatentHeads {
  const name = "attention.head_count";
  const headCount = layersDiffer ? largestOf(keys, name) : keys.integer(name, { min: 1 });
  const suffix = keys.has("attention.key_length_mla") ? "_mla" : "";
  const latent = readLatent(keys, {
    turnedDim: keys.integer("rope.dimension_count", { min: 2 }),
    length: "attention.kv_lora_rank",
    key: `attention.key_length${suffix}`,
    value: `attention.value_length${suffix}`,
  });
  const headDim = latent.turnedDim + latent.length;
  if (suffix !== "") requireSame(keys, "attention.key_length", headDim);
  return { headCount, headCountKv: 1, headDim, valueDim: headDim, latent };
}

/** The latents of windowed layers, by keys of their own; as much of them is turned. */
export function readWindowedLatent(
  keys: Hyperparameters,
  { turnedDim }: LatentConfig,
): LatentConfig {
  const turned = "rope.dimension_count_swa";
  if (keys.integer(turned, { min: 1, absent: turnedDim }) !== turnedDim) {
    throw keys.wrong(turned, `those of other layers, ${turnedDim}`);
  }
  const latent = readLatent(keys, {
    turnedDim,
    length: "attention.kv_lora_rank_swa",
    key: "attention.key_length_mla_swa",
    value: "attention.value_length_mla_swa",
  });
  requireSame(keys, "attention.key_length_swa", turnedDim + latent.length);
  return latent;
}

/** By the names of the keys. */
function readLatent(
  keys: Hyperparameters,
  { turnedDim, ...names }: {
    readonly turnedDim: number;
    readonly length: string;
    readonly key: string;
    readonly value: string;
  },
): LatentConfig {
  const length = keys.integer(names.length, { min: 1 });
  const keyDim = keys.integer(names.key, { min: 1 });
  if (keyDim <= turnedDim) {
    throw keys.wrong(names.key, `more than the turned dimensions, ${turnedDim}`);
  }
  const latent = {
    length,
    queryLength: keys.integer("attention.q_lora_rank", { min: 0, absent: 0 }),
    turnedDim,
    plainDim: keyDim - turnedDim,
    valueDim: keys.integer(names.value, { min: 1 }),
  };
  requireKernels(latent);
  return latent;
}

/** What such a file says of the cache must be what follows from the rest. */
function requireSame(keys: Hyperparameters, key: string, expected: number): void {
  const said = keys.integer(key, { min: 1, absent: expected });
  if (said !== expected) throw keys.wrong(key, `the turned dimensions and the latent, ${expected}`);
}

function requireKernels(latent: LatentConfig): void {
  const { length, plainDim, valueDim } = latent;
  const odd = [length, plainDim, valueDim].find((dim) => dim % DIM_UNIT !== 0);
  if (odd === undefined) return;
  throw new UnsupportedModelError(
    `Cannot run this model: a part of its heads has ${odd} dimensions, this version needs a ` +
      `multiple of ${DIM_UNIT}: use a model of another shape`,
  );
}

/**
 * How queries grow far into the context, where the file says so; without a length by the original
 * one.
 */
export function readLatentTemperature(
  keys: Hyperparameters,
  scaling: RopeScaling | undefined,
): QueryTemperature | null {
  const key = "attention.temperature_scale";
  const scale = keys.float(key, { min: -Infinity, absent: 0 });
  if (scale === 0) return null;
  if (scale < 0) throw keys.wrong(key, "0 or more");
  const absent = scaling?.originalContextLength;
  return {
    scale,
    length: keys.integer("attention.temperature_length", { min: 1, absent }),
    first: 0,
  };
}

/**
 * What multiplies query · key: 1 / √dimensions, times the square of YaRN's magnitude for scores,
 * which such files keep apart from the cosines' ("yarn_log_multiplier", a tenth of DeepSeek's
 * `mscale_all_dim`), unless the family knows the cosines' alone.
 */
export function readLatentScale(
  keys: Hyperparameters,
  { latentStretch }: Family,
  latent: LatentConfig,
  scaling: RopeScaling | undefined,
): number {
  const usual = 1 / Math.sqrt(ownKeyDim(latent));
  if (scaling === undefined || latentStretch === "turned") return usual;
  const { attentionFactor, factor } = scaling;
  const stretch = Math.log(Math.max(1, factor));
  const said = keys.float("rope.scaling.yarn_log_multiplier", { min: -Infinity, absent: 0 });
  const magnitude = attentionFactor * (1 + 0.1 * stretch) * (1 + said * stretch);
  return usual * magnitude ** 2;
}
