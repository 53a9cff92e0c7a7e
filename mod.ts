/**
 * Ganglion: large language models on Deno, without native code. The library's door.
 *
 * @example
 * ```ts
 * import { Engine } from "ganglion";
 *
 * await using engine = await Engine.load(); // the built-in model; or a path: "model.gguf"
 * for await (const text of engine.chat("Tell me a story.", { maxTokens: 40 })) {
 *   console.log(text);
 * }
 * ```
 *
 * Programs that use it need `--allow-read` and `--allow-sys=systemMemoryInfo`, and run twice as
 * fast with `--v8-flags=--no-wasm-bounds-checks,--experimental-wasm-revectorize`; the answers are
 * the same.
 *
 * @module
 */
export {
  type AdapterChoice,
  type Answer,
  type AnswerOptions,
  type ChatAnswerOptions,
  Engine,
  type EngineOptions,
  type FillOptions,
  type FillOrder,
  type NamedAdapter,
} from "./src/llm/mod.ts";
export {
  ModelFormatError,
  RequestError,
  UnsupportedModelError,
  WorkerError,
} from "./src/base/errors.ts";
export type {
  AdapterShare,
  AdapterUse,
  ChatMessage,
  ChatOptions,
  Conversations,
  EmbedOptions,
  FinishReason,
  GapMarks,
  GenerateChunk,
  GenerateRequest,
  GenerateResult,
  Generation,
  GivenRows,
  GrammarLead,
  GrammarMark,
  GrammarPart,
  GrammarParts,
  GrammarSource,
  KvUse,
  LanguageModel,
  LayerActivity,
  LoadProgress,
  MessageImage,
  ModelDetails,
  NeuronActivity,
  Notice,
  Prelude,
  PromptSteps,
  RowGrid,
  SamplerStep,
  SamplingOptions,
  SeenImages,
  StreamTimings,
  Timings,
  TokenLogprob,
  TokenLogprobs,
} from "./src/llm/mod.ts";
export { type RunningServer, serveModels as serve, type ServeOptions } from "./src/server/mod.ts";
