/** The door of adapters: files of low-rank matrices, and models that are changed by them. */
export { applyAdapters, SUM_TYPES, type SumType, type UsedAdapter } from "./apply_adapters.ts";
export { attachAdapters, type AttachedAdapter } from "./attach_adapters.ts";
export { type ControlVector, openControlVector, readControlVector } from "./read_control_vector.ts";
export { type SteeredLayers, steerModel, type UsedControlVector } from "./steer_model.ts";
export { openTensors, RowMerger } from "./merge_rows.ts";
export { type Adapter, type AdapterPair, openAdapter, readAdapter } from "./read_adapter.ts";
