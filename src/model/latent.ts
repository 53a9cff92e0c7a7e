/** Widths of heads, with latent attention and without, and its matrices. Pure arithmetic. */
import type { LatentConfig, LatentTensors, MatrixTensor, ModelConfig } from "./types.ts";

type Heads = Pick<ModelConfig, "headDim" | "valueDim" | "latent">;

/** Dimensions of a value as the cache keeps it. */
export function cachedValueDim({ valueDim, latent }: Omit<Heads, "headDim">): number {
  return latent === null ? valueDim : latent.length;
}

/** Of a head in a GPU's cache, where a latent, which is the end of its key, lies once. */
export function dimsOnGpu(
  config: Heads,
): { headDim: number; valueDim: number; sharesKeys: boolean } {
  const { headDim, latent } = config;
  return { headDim, valueDim: cachedValueDim(config), sharesKeys: latent !== null };
}

/** Dimensions that a head gives to the output projection. */
export function mergedHeadDim({ valueDim, latent }: Omit<Heads, "headDim">): number {
  return latent === null ? valueDim : latent.valueDim;
}

/** The latents of the layers; none where heads have keys and values of their own. */
export function latentsOf(
  { latent, layers }: Pick<ModelConfig, "latent" | "layers">,
): LatentConfig[] {
  const own = layers.flatMap(({ shape }) => shape?.latent ?? []);
  return latent === null ? own : [latent, ...own];
}

/** Dimensions of a query, or of a key were it made of its latent. */
export function ownKeyDim({ turnedDim, plainDim }: LatentConfig): number {
  return turnedDim + plainDim;
}

/** What latent attention has beside queries and the key, each once. */
export function latentMatrices({ queryDown, keyUp, valueUp }: LatentTensors): MatrixTensor[] {
  const ups = new Set([keyUp.matrix, valueUp.matrix]);
  return queryDown === null ? [...ups] : [queryDown.matrix, ...ups];
}
