/**
 * Ganglion: large language models on Deno, without native code. The library's door.
 *
 * @example
 * ```ts ignore
 * import { Engine } from "@ganglion/ganglion";
 *
 * await using engine = await Engine.load("model.gguf");
 * for await (const text of engine.generate("Once upon a time", { maxTokens: 100 })) {
 *   console.log(text);
 * }
 * ```
 *
 * @module
 */
export { type Answer, type AnswerOptions, Engine, loadModel } from "./src/llm/mod.ts";
export {
  ModelFormatError,
  RequestError,
  UnsupportedModelError,
  WorkerError,
} from "./src/base/errors.ts";
export type {
  ChatMessage,
  FinishReason,
  GenerateChunk,
  GenerateRequest,
  GenerateResult,
  Generation,
  LanguageModel,
  LoadedModel,
  LoadOptions,
  LoadProgress,
  Notice,
  SamplingOptions,
  Timings,
} from "./src/llm/mod.ts";
export {
  loadedModels,
  type ModelSource,
  type RunningServer,
  serve,
  type ServeOptions,
} from "./src/server/mod.ts";
