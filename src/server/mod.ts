/** The door of `src/server`: models behind HTTP. */
export { createApp } from "./app.ts";
export { ApiKeys } from "./api_keys.ts";
export type { LibraryProgress, LibraryPull, ModelLibrary } from "./model_library.ts";
export {
  type AcquireOptions,
  loadedModels,
  type ModelCard,
  type ModelLease,
  type ModelSource,
} from "./model_source.ts";
export { type AppOptions, type BatchSettings, Lifecycle } from "./options.ts";
export { ServerMetrics } from "./telemetry/server_metrics.ts";
export { type RunningServer, serve } from "./serve.ts";
export { serveModels, type ServeOptions } from "./serve_models.ts";
