/** The door of `src/pull`: models that come from elsewhere, and the folder that they come to. */
export { ModelStore, type SourceRecord, type StoredFile, type StoredModel } from "./model_store.ts";
export { DEFAULT_ENDPOINT, type PullOptions, type PullProgress } from "./options.ts";
export { type PulledModel, pullModel } from "./pull_model.ts";
export { PullError } from "./pull_error.ts";
export type { PullObstacle } from "./fault.ts";
export { type PullOne, SharedPulls, type Watcher } from "./shared_pulls.ts";
export { isReference, parseReference, sourceOf } from "./reference.ts";
