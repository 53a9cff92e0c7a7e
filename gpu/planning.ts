/**
 * What is known of a GPU's work before there is a device: which adapter there is, what shaders can
 * do and what it takes. Who plans reads this instead of mod.ts, and none of the shaders.
 */
export { convolutionRowsBytes, type ConvolutionShape } from "./convolution_rows.ts";
export { describeGpu, type GpuDescription } from "./describe.ts";
export { kvCacheBytes } from "./kv_cache.ts";
export * from "./limits.ts";
export { statePlacesBytes, type StateShape } from "./state_places.ts";
export { matrixBytes, weightFormat } from "./weights/formats.ts";
