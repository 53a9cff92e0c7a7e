/** The door of `src/models`: several models behind one server. */
export { type CatalogOptions, FileCatalog, modelName, type NamedFile } from "./catalog.ts";
export type { FileKind } from "./file_kind.ts";
export { ModelRegistry, type RegistryOptions } from "./model_registry.ts";
export type {
  AcquireOptions,
  ModelCatalog,
  ModelLease,
  ModelLoader,
  ModelState,
  ModelStatus,
  RegistryEvent,
  UnloadReason,
} from "./types.ts";
