/** The sampler's steps, by name: what leaves ids out, and what spreads the draw over others. */

/** One of the steps by which the sampler leaves ids out, or spreads the draw over the others. */
export type SamplerStep =
  | "topNSigma"
  | "topK"
  | "typicalP"
  | "topP"
  | "minP"
  | "xtc"
  | "temperature";

/** In the order in which they come unless a request says otherwise: llama.cpp's. */
export const SAMPLER_STEPS: readonly SamplerStep[] = [
  ...["topNSigma", "topK", "typicalP", "topP", "minP", "xtc", "temperature"] as const,
];
