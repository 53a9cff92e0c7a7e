/** The door of the threads: start an engine, ask it, close it. */
export { EngineHandle, type EngineOptions, type LayerObservation } from "./engine_handle.ts";
