/** The door of the threads: start an engine, ask it, close it; train predictors. */
export type { InputSums } from "../src/engine/input_sums.ts";
export { EngineHandle } from "./engine_handle.ts";
export type { EngineDraft, EngineOptions, LayerObservation } from "./engine_options.ts";
export { ImagePreparer, type ImagePreparerOptions } from "./image_preparer.ts";
export { TrainerPool, type TrainerPoolOptions } from "./trainer_pool.ts";
export { type DiskAmounts, type DiskProfile, measureDisk } from "./measure_disk.ts";
export { canReadByKernel } from "../src/io/mod.ts";
export { measureMemoryGbps } from "./memory_meter.ts";
