/**
 * A language model without an engine: it says what its script says, waits where the script waits,
 * fails where the script fails, and counts what became of its generations. One token is one UTF-16
 * unit of text, ids are the units' codes.
 */
import { RequestError } from "../../src/base/errors.ts";
import { pause } from "../../src/base/pause.ts";
import { runSteps, type Steps } from "../../src/base/steps.ts";
import {
  countImages,
  idsWithImages,
  noImages,
  renderWithImages,
} from "../../src/llm/images/place_images.ts";
import { AdapterShares } from "../../src/llm/adapter_shares.ts";
import { StopText } from "../../src/llm/stop_text.ts";
import type {
  AdapterShare,
  AdapterUse,
  ChatMessage,
  ChatOptions,
  EmbedOptions,
  FinishReason,
  GenerateChunk,
  GenerateRequest,
  GenerateResult,
  Generation,
  LanguageModel,
  ModelDetails,
  PromptSteps,
  SeenImages,
} from "../../src/llm/types.ts";

/** A text to say, milliseconds or a promise to wait for, or an error to fail with. */
export type Step = string | number | Promise<unknown> | Error;

export interface ScriptedModelOptions {
  readonly id?: string;
  readonly contextLength?: number;
  /** What each generation does; a function sees the request. Default: says "Hello, world". */
  readonly script?: readonly Step[] | ((request: GenerateRequest) => readonly Step[]);
  /** Generations that may wait behind the running one; default 100. */
  readonly waitingMax?: number;
  /** Called by encodeChat before it encodes; may throw as a chat template does. */
  readonly onChat?: (messages: readonly ChatMessage[]) => void;
  readonly details?: Partial<ModelDetails>;
  /** Why a request is refused at once; undefined: it is not. */
  readonly refuse?: (request: GenerateRequest) => Error | undefined;
  /** Control tokens: their texts, and the characters that stand for them in scripts. */
  readonly controls?: Readonly<Record<string, string>>;
  /** It makes no log probabilities, as models of before. */
  readonly hasNoLogprobs?: boolean;
  /** Makes vectors; left out: [text length, 1]. Null: it embeds nothing. */
  readonly embed?: ((ids: readonly number[], options?: EmbedOptions) => Float32Array) | null;
  /** What stands in a prompt for an image's bytes; left out: it sees none. */
  readonly see?: (file: Uint8Array, options?: EmbedOptions) => SeenImages | Promise<SeenImages>;
  /** Scores pairs, "query|document"; left out: it scores none. */
  readonly rank?: (pair: string, options?: EmbedOptions) => number;
}

/** What has become of the generations so far. */
export interface Counters {
  accepted: number;
  started: number;
  completed: number;
  aborted: number;
  failed: number;
}

// deno-lint-ignore require-yield
function* inOneStep(encode: () => number[]): Steps<number[]> {
  return encode();
}

function joined(messages: readonly ChatMessage[]): string {
  return messages.map((message) => message.content).join("\n");
}

export class ScriptedModel implements LanguageModel {
  readonly id: string;
  readonly created = 1_700_000_000;
  readonly contextLength: number;
  /** Every request that was accepted, in order. */
  readonly requests: GenerateRequest[] = [];
  /** Every conversation that was encoded, in order. */
  readonly chats: (readonly ChatMessage[])[] = [];
  /** What came with each of them. */
  readonly chatOptions: (ChatOptions | undefined)[] = [];
  /** What came with each prompt whose log probabilities were asked for. */
  readonly promptOptions: (EmbedOptions | undefined)[] = [];
  readonly #adapters: AdapterShares;
  readonly #details: ModelDetails;
  readonly embed: LanguageModel["embed"];
  readonly rank: LanguageModel["rank"];
  readonly lookAt: LanguageModel["lookAt"];
  readonly promptLogprobs: LanguageModel["promptLogprobs"];
  readonly counters: Counters = { accepted: 0, started: 0, completed: 0, aborted: 0, failed: 0 };
  readonly #options: ScriptedModelOptions;
  #waiting = 0;
  #running = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #watchers: (() => void)[] = [];

  constructor(options: ScriptedModelOptions = {}) {
    this.#options = options;
    this.id = options.id ?? "scripted";
    this.contextLength = options.contextLength ?? 1_000_000;
    const uses = [...DETAILS.uses, ...options.see === undefined ? [] : ["images" as const]];
    const details = this.#details = { ...DETAILS, uses, ...options.details };
    this.#adapters = new AdapterShares({
      ...{ id: this.id, shares: scalesOf(details.choosableAdapters), isNamed: false },
      merged: scalesOf(details.adapters),
    });
    const { embed = (ids) => new Float32Array([ids.length, 1]) } = options;
    if (embed !== null) {
      this.embed = (texts, options) => Promise.resolve(texts.map((ids) => embed(ids, options)));
    }
    const { rank, see } = options;
    if (see !== undefined) {
      this.lookAt = async (messages, options) => {
        const files = messages.flatMap(({ images = [] }) => images.map(({ file }) => file));
        const seen = await Promise.all(files.map((file) => see(file, options)));
        return {
          ids: seen.flatMap(({ ids }) => ids),
          given: seen.flatMap(({ given }) => given),
        };
      };
    }
    if (rank !== undefined) {
      this.rank = (pairs, options) => {
        return Promise.resolve(pairs.map((ids) => rank(this.decode(ids), options)));
      };
    }
    if (options.hasNoLogprobs) return;
    this.promptLogprobs = (ids, top, options) => {
      this.promptOptions.push(options);
      return Promise.resolve(ids.slice(1).map((id) => logprobsOf(id, top)));
    };
  }

  get details(): ModelDetails {
    const { choosableAdapters } = this.#details;
    if (choosableAdapters === undefined) return this.#details;
    const { current } = this.#adapters;
    const now = choosableAdapters.map((each, index) => ({ ...each, scale: current[index] }));
    return { ...this.#details, choosableAdapters: now };
  }

  chooseAdapters(shares: readonly AdapterShare[]): void {
    this.#adapters.choose(shares);
  }

  get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#running, waiting: this.#waiting };
  }

  renderChat(messages: readonly ChatMessage[], options?: ChatOptions): string {
    this.#options.onChat?.(messages);
    this.chats.push(messages);
    this.chatOptions.push(options);
    return joined(messages);
  }

  encodeChat(messages: readonly ChatMessage[], options?: ChatOptions): number[] {
    this.renderChat(messages, options);
    if (countImages(messages) > 0 && options?.images === undefined) throw noImages(messages);
    const placed = renderWithImages(messages, joined);
    const seen = options?.images ?? { ids: [], given: [] };
    return runSteps(
      idsWithImages(placed, seen, (text) => inOneStep(() => this.encodePrompt(text))),
    );
  }

  /** Each in one step. */
  get inSteps(): PromptSteps {
    return {
      chat: (...of) => inOneStep(() => this.encodeChat(...of)),
      prompt: (text) => inOneStep(() => this.encodePrompt(text)),
      text: (...of) => inOneStep(() => this.encodeText(...of)),
      whole: (text) => inOneStep(() => this.encodePrompt(text)),
      pair: (query, document) => inOneStep(() => this.encodePrompt(`${query}|${document}`)),
    };
  }

  encodeText(text: string, { special = false } = {}): number[] {
    const { controls = {} } = this.#options;
    let written = text;
    for (const [name, char] of special ? Object.entries(controls) : []) {
      written = written.replaceAll(name, char);
    }
    return this.encodePrompt(written);
  }

  tokenBytes(id: number): Uint8Array {
    if (this.#isControl(id)) return new Uint8Array(0);
    return new TextEncoder().encode(String.fromCharCode(id));
  }

  encodePrompt(text: string): number[] {
    return Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
  }

  decode(ids: readonly number[]): string {
    return ids.map((id) => String.fromCharCode(id)).join("");
  }

  generate(request: GenerateRequest): Generation {
    if (request.ids.length === 0) {
      throw new RequestError("The prompt is empty", { status: 400, code: "empty_prompt" });
    }
    if (request.ids.length >= this.contextLength) {
      throw new RequestError(`The prompt has ${request.ids.length} tokens, which do not fit`, {
        status: 400,
        code: "context_length_exceeded",
      });
    }
    if (this.#running + this.#waiting > (this.#options.waitingMax ?? 100)) {
      throw new RequestError("The queue is full", {
        status: 503,
        code: "queue_full",
        retryAfterSeconds: 2,
      });
    }
    this.#adapters.of(request.adapters);
    const refusal = this.#options.refuse?.(request);
    if (refusal) throw refusal;
    this.requests.push(request);
    this.#count("accepted");
    const chunks = new Chunks();
    const result = this.#queue(request, chunks);
    result.then(() => chunks.end(null), (error) => chunks.end(error));
    return { result, [Symbol.asyncIterator]: () => chunks.read() };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Resolves when the counters satisfy `condition`. */
  async until(condition: (counters: Counters) => boolean): Promise<void> {
    while (!condition(this.counters)) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  #isControl(id: number): boolean {
    return Object.values(this.#options.controls ?? {}).includes(String.fromCharCode(id));
  }

  #count(event: keyof Counters): void {
    this.counters[event] += 1;
    for (const wake of this.#watchers.splice(0)) wake();
  }

  async #queue(request: GenerateRequest, chunks: Chunks): Promise<GenerateResult> {
    this.#waiting += 1;
    const before = this.#turn;
    const { promise, resolve: endTurn } = Promise.withResolvers<void>();
    this.#turn = before.then(() => promise);
    await Promise.race([before, aborted(request.signal)]);
    this.#waiting -= 1;
    this.#running += 1;
    this.#count("started");
    try {
      const result = await this.#run(request, chunks);
      this.#count(result.finishReason === "cancelled" ? "aborted" : "completed");
      return result;
    } catch (error) {
      this.#count("failed");
      throw error;
    } finally {
      this.#running -= 1;
      endTurn();
    }
  }

  async #run(request: GenerateRequest, chunks: Chunks): Promise<GenerateResult> {
    const { script = ["Hello", ", ", "world"] } = this.#options;
    const ids: number[] = [];
    const stop = new StopText(request.stop ?? []);
    // A context is an end where a test names one; else there is room for whatever is said.
    const { contextLength = Infinity } = this.#options;
    const most = Math.min(request.maxTokens ?? Infinity, contextLength - request.ids.length);
    const end = (finishReason: FinishReason): GenerateResult => ({
      ...(stop.found !== null && { stopText: stop.found }),
      text: this.decode(ids),
      ids,
      finishReason,
      timings: {
        promptTokens: request.ids.length,
        cachedTokens: 1,
        promptMs: 4,
        predictedTokens: ids.length,
        predictedMs: 10,
      },
    });
    for (const step of typeof script === "function" ? script(request) : script) {
      if (request.endSignal?.aborted) return end("stop");
      if (request.signal?.aborted) return end("cancelled");
      if (step instanceof Error) throw step;
      if (typeof step === "string") {
        const room = most - ids.length;
        const said = this.encodePrompt(step).slice(0, room);
        ids.push(...said);
        const logprobs = request.logprobs === undefined || this.#options.hasNoLogprobs
          ? {}
          : { logprobs: said.map((id) => logprobsOf(id, request.logprobs!)) };
        const text = stop.push(this.decode(said.filter((id) => !this.#isControl(id))));
        chunks.push({ text, ids: said, ...logprobs });
        if (stop.isStopped) return end("stop");
        if (ids.length === most) return end("length");
      } else {
        const wait = typeof step === "number" ? pause(step) : step;
        await Promise.race([wait, aborted(request.signal), aborted(request.endSignal)]);
      }
    }
    const rest = stop.flush();
    const { logprobs } = request;
    if (rest !== "") {
      chunks.push({ text: rest, ids: [], ...logprobs !== undefined && { logprobs: [] } });
    }
    return end(request.signal?.aborted ? "cancelled" : "stop");
  }
}

const DETAILS: ModelDetails = {
  architecture: "scripted",
  parameterCount: 1000,
  quantization: "F32",
  fileBytes: 4000,
  embeddingLength: 2,
  vocabSize: 2 ** 16,
  chatTemplate: null,
  sampling: {},
  gapMarks: null,
  scoresAreShares: false,
  adapters: [],
  uses: ["writing", "vectors"],
  metadata: { "general.architecture": "scripted" },
};

function scalesOf(adapters: readonly AdapterUse[] = []): number[] {
  return adapters.map(({ scale }) => scale);
}

/** Every id is the most probable one, those after it are the next ones. */
function logprobsOf(id: number, count: number) {
  const top = Array.from({ length: count }, (_, rank) => ({ id: id + rank, logprob: -rank - 0.5 }));
  return { id, logprob: -0.5, top };
}

/** Resolves when `signal` aborts; never without one. */
function aborted(signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}

class Chunks {
  readonly #chunks: GenerateChunk[] = [];
  #ended: { readonly error: unknown } | null = null;
  #wake: (() => void) | null = null;

  push(chunk: GenerateChunk): void {
    this.#chunks.push(chunk);
    this.#wake?.();
  }

  end(error: unknown): void {
    this.#ended = { error };
    this.#wake?.();
  }

  async *read(): AsyncGenerator<GenerateChunk> {
    for (let next = 0;;) {
      if (next < this.#chunks.length) yield this.#chunks[next++];
      else if (this.#ended) break;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
    if (this.#ended.error !== null) throw this.#ended.error;
  }
}
