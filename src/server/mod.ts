/** The door of `src/server`: models behind HTTP. */
export { createApp } from "./app.ts";
export { type AppOptions, Lifecycle, type ModelCard, type ServedModels } from "./options.ts";
export { type RunningServer, serve, type ServeOptions } from "./serve.ts";
