/** The library's face: load a model file, ask it, close it. */
import { loadModel } from "./load_model.ts";
import type { LoadOptions } from "./load_options.ts";
import type { LoadedModel } from "./language_model.ts";
import type { ChatMessage, GenerateResult, SamplingOptions } from "./types.ts";

export interface AnswerOptions {
  /** At most this many new tokens; left out: until the context is full. */
  readonly maxTokens?: number;
  readonly sampling?: SamplingOptions;
  /** The answer ends before any of these texts. */
  readonly stop?: readonly string[];
  readonly signal?: AbortSignal;
}

/** An answer that is being made: iterate it for its text, await `result` for the whole. */
export interface Answer extends AsyncIterable<string> {
  readonly result: Promise<GenerateResult>;
}

/**
 * A model, ready to answer. Requests are served one after another, or `LoadOptions.parallel` at
 * once; more wait in a bounded queue.
 *
 * @example
 * ```ts ignore
 * import { Engine } from "@ganglion/ganglion";
 *
 * await using engine = await Engine.load("model.gguf", { threads: 2 });
 * for await (const text of engine.chat([{ role: "user", content: "Tell me a story." }])) {
 *   console.log(text);
 * }
 * ```
 */
export class Engine implements AsyncDisposable {
  /** The model behind it: what the server serves. */
  readonly model: LoadedModel;

  private constructor(model: LoadedModel) {
    this.model = model;
  }

  /**
   * Loads a GGUF file into the threads' arenas.
   * @throws {ModelFormatError} when the file is damaged or not what it claims to be.
   * @throws {UnsupportedModelError} when this version cannot run it.
   */
  static async load(path: string, options?: LoadOptions): Promise<Engine> {
    return new Engine(await loadModel(path, options));
  }

  /**
   * Continues a text.
   * @throws {RequestError} when the queue is full or the prompt does not fit the context.
   */
  generate(prompt: string, options: AnswerOptions = {}): Answer {
    return this.#answer(this.model.encodePrompt(prompt), options);
  }

  /**
   * Answers a conversation, rendered by the model's own template.
   * @throws {RequestError} as `generate`, and when the template refuses the messages.
   */
  chat(messages: readonly ChatMessage[], options: AnswerOptions = {}): Answer {
    return this.#answer(this.model.encodeChat(messages), options);
  }

  /** Ids of a text, nothing added, no special tokens. */
  tokenize(text: string): number[] {
    return this.model.tokenizer.encode(text);
  }

  /** Text of ids. */
  detokenize(ids: readonly number[]): string {
    return this.model.decode(ids);
  }

  /** Stops the threads and lets go of the memory. */
  async close(): Promise<void> {
    await this.model.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #answer(ids: readonly number[], options: AnswerOptions): Answer {
    const generation = this.model.generate({ ids, ...options });
    return {
      result: generation.result,
      async *[Symbol.asyncIterator]() {
        for await (const chunk of generation) if (chunk.text !== "") yield chunk.text;
      },
    };
  }
}
