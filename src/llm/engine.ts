/** The library's face: load a model file, ask it, close it. Knows nothing of HTTP. */
import { RequestError } from "../base/errors.ts";
import { runSteps } from "../base/steps.ts";
import { BUILT_IN_MODEL_ID, BUILT_IN_MODEL_PATH } from "./built_in_model.ts";
import type { EngineOptions } from "./engine_options.ts";
import { noImages } from "./images/place_images.ts";
import type { LoadedModel } from "./language_model.ts";
import { loadModel } from "./load_model.ts";
import type {
  ChatMessage,
  ChatOptions,
  EmbedOptions,
  GenerateRequest,
  GenerateResult,
  GrammarSource,
  LanguageModel,
  SamplingOptions,
  SeenImages,
} from "./types.ts";
import { unitVector } from "./unit_vector.ts";

/** What an answer shall be like. Everything may be left out. */
export interface AnswerOptions extends SamplingOptions {
  /** At most this many new tokens; left out: until the context is full. */
  readonly maxTokens?: number;
  /** The answer ends before any of these texts. */
  readonly stop?: readonly string[];
  /** The answer is a sentence of it: JSON, JSON of a schema, or a grammar of your own. */
  readonly grammar?: GrammarSource;
  /** Ends the answer within a token of being aborted; its `finishReason` is "cancelled". */
  readonly signal?: AbortSignal;
  /** Of requests that wait, those with a larger number are served first; default 0. */
  readonly priority?: number;
  /** Of the model's `namedAdapters`, those that count, and no others. Left out: none. */
  readonly adapters?: GenerateRequest["adapters"];
}

/** An answer to a conversation, and what its template is told. */
export type ChatAnswerOptions =
  & AnswerOptions
  & Pick<ChatOptions, "tools" | "variables" | "images">;

/**
 * An answer that is being made. Iterate it for its text, piece by piece; leaving the loop early
 * ends it. Or wait for the whole.
 */
export interface Answer extends AsyncIterable<string> {
  /** The whole answer with its ids, why it ended, and how long it took. */
  readonly result: Promise<GenerateResult>;
  /** The whole answer's text. */
  text(): Promise<string>;
}

/**
 * A model, ready to answer. Requests are served one after another, or `EngineOptions.parallel` at
 * once; more wait in a bounded queue. Close it, or let `await using` do so: its threads keep the
 * process alive.
 *
 * @example Text, as it comes
 * ```ts
 * import { Engine } from "ganglion";
 *
 * await using engine = await Engine.load();
 * for await (const text of engine.chat("What is Ganglion?", { maxTokens: 40 })) {
 *   console.log(text);
 * }
 * ```
 *
 * @example A whole answer, and what it took
 * ```ts
 * import { Engine } from "ganglion";
 *
 * await using engine = await Engine.load();
 * const answer = engine.chat("What is a neuron?", { temperature: 0, maxTokens: 40 });
 * const { text, finishReason, timings } = await answer.result;
 * console.log(text, finishReason, timings.predictedTokens);
 * ```
 */
export class Engine implements AsyncDisposable {
  readonly #model: LoadedModel;
  #isClosed = false;

  private constructor(model: LoadedModel) {
    this.#model = model;
  }

  /**
   * Loads a model: a .gguf or .ganglion file, or the built-in one when no path is given.
   *
   * @example
   * ```ts
   * import { Engine } from "ganglion";
   *
   * await using engine = await Engine.load(undefined, { threads: 1, contextLength: 256 });
   * console.log(engine.model.id, engine.model.details?.parameterCount);
   * ```
   *
   * @throws {ModelFormatError} when the file is damaged, not there, or not what it claims to be.
   * @throws {UnsupportedModelError} when this version cannot run it.
   * @throws {RangeError} when an option is out of its range, or memory is short.
   */
  static async load(path?: string, options: EngineOptions = {}): Promise<Engine> {
    const isBuiltIn = path === undefined;
    return new Engine(
      await loadModel(path ?? BUILT_IN_MODEL_PATH, {
        ...options,
        id: options.id ?? (isBuiltIn ? BUILT_IN_MODEL_ID : undefined),
      }),
    );
  }

  /** The model behind it, for `serve` and for requests by ids. */
  get model(): LanguageModel {
    return this.#model;
  }

  /**
   * Continues a text.
   *
   * @example
   * ```ts
   * import { Engine } from "ganglion";
   *
   * await using engine = await Engine.load();
   * console.log(await engine.generate("Once upon a time", { maxTokens: 20, seed: 1 }).text());
   * ```
   *
   * @throws {RequestError} at once: when the queue is full, the prompt does not fit the context, an
   *   option is out of its range, or the engine is closed.
   */
  generate(prompt: string, options: AnswerOptions = {}): Answer {
    this.#checkOpen();
    return this.#answer(this.#model.encodePrompt(prompt), options);
  }

  /**
   * Answers a conversation, rendered by the model's own template; a text is what a user says first.
   *
   * @example An answer that is JSON
   * ```ts
   * import { Engine } from "ganglion";
   *
   * await using engine = await Engine.load();
   * const schema = { type: "object", properties: { yes: { type: "boolean" } }, required: ["yes"] };
   * const answer = engine.chat([{ role: "user", content: "Is water wet?" }], {
   *   grammar: { kind: "jsonSchema", schema },
   * });
   * console.log(JSON.parse(await answer.text()).yes);
   * ```
   *
   * @throws {RequestError} as `generate`, and when the template refuses the messages.
   */
  chat(messages: string | readonly ChatMessage[], options: ChatAnswerOptions = {}): Answer {
    this.#checkOpen();
    const { tools, variables, images, ...rest } = options;
    const conversation = typeof messages === "string"
      ? [{ role: "user", content: messages }]
      : messages;
    const ids = this.#model.encodeChat(conversation, { tools, variables, images });
    return this.#answer(ids, rest, images?.given);
  }

  /**
   * Looks at the images of messages, or listens to their sounds, for `chat` with `images`; takes
   * seconds. Needs a projector:
   * `EngineOptions.projectorPath`.
   *
   * @example
   * ```ts ignore
   * import { Engine } from "ganglion";
   *
   * await using engine = await Engine.load("model.gguf", { projectorPath: "mmproj.gguf" });
   * const file = await Deno.readFile("cat.jpg");
   * const messages = [{ role: "user", content: "What is it?", images: [{ at: 0, file }] }];
   * const images = await engine.lookAt(messages);
   * console.log(await engine.chat(messages, { images }).text());
   * ```
   *
   * @throws {RequestError} when one is no image or sound, is too large, or the model reads none.
   */
  async lookAt(messages: readonly ChatMessage[], options: EmbedOptions = {}): Promise<SeenImages> {
    this.#checkOpen();
    if (this.#model.lookAt === undefined) throw noImages(messages);
    return await this.#model.lookAt(messages, options);
  }

  /**
   * The vector of a text, [embeddingLength], of length 1: the dot product of two is the cosine of
   * the angle between them.
   *
   * @example
   * ```ts
   * import { Engine } from "ganglion";
   *
   * await using engine = await Engine.load();
   * const [a, b] = [await engine.embed("a cat"), await engine.embed("a kitten")];
   * console.log(a.reduce((sum, value, i) => sum + value * b[i], 0));
   * ```
   *
   * @throws {RequestError} when the text does not fit, or the file pools in a way that is not
   *   supported.
   */
  async embed(text: string): Promise<Float32Array> {
    this.#checkOpen();
    const [vector] = await this.#model.embed([runSteps(this.#model.inSteps.whole(text))]);
    return unitVector(vector);
  }

  /**
   * Ids of a text, nothing added, no special tokens.
   *
   * @example
   * ```ts
   * import { Engine } from "ganglion";
   *
   * await using engine = await Engine.load();
   * const ids = engine.tokenize("Hello there");
   * console.assert(engine.detokenize(ids) === "Hello there");
   * ```
   */
  tokenize(text: string): number[] {
    return this.#model.encodeText(text);
  }

  /** Text of ids. */
  detokenize(ids: readonly number[]): string {
    return this.#model.decode(ids);
  }

  /** Stops the threads and lets go of the memory. Answers under way are "cancelled". */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#model.close();
  }

  /** `close()`, at the end of a block with `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(): void {
    if (!this.#isClosed) return;
    throw new RequestError(`Cannot ask "${this.#model.id}": it was closed: load it again`, {
      status: 503,
      code: "engine_closed",
    });
  }

  #answer(
    ids: readonly number[],
    options: AnswerOptions,
    given?: GenerateRequest["given"],
  ): Answer {
    const { maxTokens, stop, grammar, signal, priority, adapters, ...sampling } = options;
    const generation = this.#model.generate({
      ...{ ids, given, maxTokens, stop, grammar, signal, priority, adapters },
      sampling,
    });
    return {
      result: generation.result,
      text: async () => (await generation.result).text,
      async *[Symbol.asyncIterator]() {
        for await (const chunk of generation) if (chunk.text !== "") yield chunk.text;
      },
    };
  }
}
