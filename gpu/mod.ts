/**
 * The door to the GPU. In this version it only tells what there is; it knows nothing of models.
 */
export { describeGpu, type GpuDescription } from "./describe.ts";
