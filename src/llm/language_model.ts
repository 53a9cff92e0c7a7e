/**
 * A loaded model: tokenizer, chat template, turns and the engine's threads behind the interface
 * that the server and the command line use.
 */
import { check } from "../base/check.ts";
import { messageOf } from "../base/errors.ts";
import { runSteps } from "../base/steps.ts";
import type { GgufFile } from "../gguf/types.ts";
import type { KvArchiveFile } from "../engine/kv_archive.ts";
import { readLogprobs } from "../engine/logprob_rows.ts";
import type { PredictorChoice } from "../engine/types.ts";
import { KV_BLOCK_POSITIONS } from "../memory/kv_layout.ts";
import type { ModelConfig } from "../model/types.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import type { EngineHandle, InputSums, LayerObservation } from "../../workers/mod.ts";
import type { GpuPart } from "./choose_gpu.ts";
import type { EngineSupply } from "./engine_supply.ts";
import { KeptConversations } from "./kept_conversations.ts";
import { AdapterShares } from "./adapter_shares.ts";
import { checkGiven } from "./check_given.ts";
import { answerTokensOf } from "./fill_options.ts";
import { checkIds, type IdLimits, requireAlive, tokensWanted } from "./check_ids.ts";
import { refuseEncoder, requireGoingOn } from "./read_pooling.ts";
import type { AdaptedParts, LoadedModelParts } from "./loaded_model_parts.ts";
import type { ImageReader } from "./images/image_reader.ts";
import { startGeneration } from "./generation.ts";
import { bytesPerToken, type MemoryUse, memoryUse } from "./memory_use.ts";
import type { Notice } from "./predictor_report.ts";
import type { TriedPredictors } from "./try_predictors.ts";
import { PromptEncoder } from "./prompt_encoder.ts";
import { TurnQueue } from "./queue.ts";
import { TextReader, type Texts } from "./text_reader.ts";
import { logprobRows, RequestExtras } from "./request_extras.ts";
import { readSampling } from "./sampling_defaults.ts";
import type {
  AdapterShare,
  ChatMessage,
  ChatOptions,
  Conversations,
  EmbedOptions,
  GenerateRequest,
  Generation,
  KvUse,
  LanguageModel,
  ModelDetails,
  NeuronActivity,
  PromptSteps,
  TokenLogprobs,
} from "./types.ts";

export class LoadedModel implements LanguageModel {
  readonly id: string;
  /** Unix seconds at which the model was loaded. */
  readonly created = Math.floor(Date.now() / 1000);
  readonly file: GgufFile;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly contextLength: number;
  readonly answersSources: boolean;
  readonly answerTokens: number | undefined;
  readonly runningMax: number;
  readonly threads: number;
  /** Memories of each thread: more than one where its share is over 4 GiB. */
  readonly arenaCount: number;
  readonly #kvTokensMax: number;
  readonly #plans: readonly RankPlan[];
  readonly memory: MemoryUse;
  /** Bytes of weights that decoding one token reads. */
  readonly bytesPerToken: number;
  readonly expectedDecodeTps: LoadedModelParts["expectedDecodeTps"];
  /** Predictors of silent neurons that were tried, and which are used; null: there are none. */
  readonly predictors: TriedPredictors | null;
  /** What computes it, as it was loaded, for people. */
  readonly runsOn: string;
  readonly #prompts: PromptEncoder;
  readonly #engines: EngineSupply;
  readonly conversations: Conversations;
  readonly adapted: readonly LoadedModel[];
  readonly #adapters: AdapterShares;
  /** The model in whose engine this one is, with an adapter; null: it has its own. */
  readonly #base: LoadedModel | null;
  readonly #archive: KvArchiveFile | null;
  readonly #notify: (notice: Notice) => void;
  #isClosed = false;
  readonly #queue: TurnQueue;
  #details: ModelDetails | undefined;
  readonly #describe: LoadedModelParts["describe"];
  readonly #extras: RequestExtras;
  readonly #texts: TextReader;
  readonly #filling: LoadedModelParts["filling"];
  readonly #images: ImageReader | null;
  /** Left out: it neither sees nor hears. */
  readonly lookAt: LanguageModel["lookAt"];

  /** base: the model whose engine and turns it shares; left out: it has its own. */
  constructor(
    parts: LoadedModelParts & Partial<AdaptedParts>,
    base: LoadedModel | null = null,
  ) {
    const { plans, config, tokenizer, fingerprint } = parts;
    const shares = parts.shares ?? new Array(plans[0].adapters?.count ?? 0).fill(0);
    const own = { id: parts.id, shares, isNamed: base !== null };
    const adapters = this.#adapters = new AdapterShares({ ...parts.mergedAdapters, ...own });
    this.#base = base;
    this.id = parts.id;
    this.file = parts.file;
    this.config = config;
    this.tokenizer = tokenizer;
    const contextLength = this.contextLength = plans[0].contextLength;
    this.#plans = plans;
    this.threads = plans.length;
    this.arenaCount = plans[0].arenas.length;
    this.#kvTokensMax = plans[0].kvBlocks * KV_BLOCK_POSITIONS;
    this.memory = memoryUse([...plans, ...parts.otherPlans]);
    this.bytesPerToken = bytesPerToken(plans, config);
    this.expectedDecodeTps = parts.expectedDecodeTps;
    this.predictors = parts.predictors;
    this.runsOn = parts.runsOn;
    const isFramed = this.answersSources = config.source !== undefined;
    this.answerTokens = answerTokensOf(config);
    this.#prompts = new PromptEncoder({ ...parts, contextLength, isFramed });
    this.#engines = parts.engines;
    this.conversations = new KeptConversations(parts.engines, { fingerprint, adapters });
    this.#archive = parts.archive;
    this.#notify = parts.notify;
    this.#filling = parts.filling;
    this.#texts = new TextReader({
      ...{ file: parts.file, config, head: parts.textHead },
      atOnce: { texts: config.isEncoder ? plans[0].sequences : 1, tokens: contextLength },
      checkIds: (ids) => this.#checkIds(ids, { mayFill: true }),
      readAlone: (...of) => this.#readAlone(...of),
    });
    this.#describe = parts.describe;
    const images = this.#images = parts.images;
    if (images !== null) this.lookAt = (...of) => images.lookAt(...of);
    const sampling = readSampling(parts.file.metadata);
    this.#extras = new RequestExtras(tokenizer, config.vocabSize, sampling);
    const runningMax = this.runningMax = plans[0].sequences;
    const { waitingMax } = parts;
    this.#queue = base !== null ? base.#queue : new TurnQueue({ runningMax, waitingMax });
    this.adapted = parts.adapted.map((own) =>
      new LoadedModel({ ...parts, ...own, adapted: [] }, this)
    );
  }

  get kv(): KvUse {
    const { kvTokens: usedTokens } = this.#engines;
    return { usedTokens, capacityTokens: this.#kvTokensMax, blockTokens: KV_BLOCK_POSITIONS };
  }

  get neurons(): NeuronActivity {
    return this.#engines.neurons;
  }

  get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#queue.running, waiting: this.#queue.waiting };
  }

  renderChat(messages: readonly ChatMessage[], options?: ChatOptions): string {
    return this.#prompts.renderChat(messages, options);
  }

  encodeChat(messages: readonly ChatMessage[], options?: ChatOptions): number[] {
    return runSteps(this.#prompts.chat(messages, options));
  }

  encodePrompt(text: string, options?: Pick<ChatOptions, "mustFit">): number[] {
    return runSteps(this.#prompts.prompt(text, options));
  }

  encodeText(text: string, options?: Parameters<LanguageModel["encodeText"]>[1]): number[] {
    return runSteps(this.#prompts.text(text, options));
  }

  get inSteps(): PromptSteps {
    return this.#prompts;
  }

  decode(ids: readonly number[]): string {
    return this.tokenizer.decode(ids);
  }

  tokenBytes(id: number): Uint8Array {
    return this.tokenizer.bytesOf(id);
  }

  get details(): ModelDetails {
    return this.#details ??= this.#describe(this.#adapters.current);
  }

  chooseAdapters(shares: readonly AdapterShare[]): void {
    this.#adapters.choose(shares);
    this.#details = undefined;
  }

  generate(request: GenerateRequest): Generation {
    refuseEncoder(this.config);
    const { given = [] } = request, { source } = this.config;
    const { maxTokens: wanted, ...filling } = this.#filling(request);
    const adapters = this.#adapters.of(request.adapters);
    // An empty source is none, as an empty prompt.
    const ids = source && request.ids.length > 0 ? [...request.ids, source.startId] : request.ids;
    this.#checkIds(ids, { given });
    requireAlive(this.failure);
    const maxTokens = tokensWanted(wanted, this.contextLength);
    return startGeneration(this.#queue, {
      source: (...of) => this.#engines.generate(...of),
      request: {
        ...{ ids, maxTokens },
        ...given.length === 0 ? {} : { given },
        ...adapters.length === 0 ? {} : { adapters },
        endIds: request.ignoreEnd ? [] : [...this.tokenizer.endIds],
        ...{ priority: request.priority, ...this.#extras.of(request, maxTokens), ...filling },
      },
      ...{ stop: request.stop ?? [], endSignal: request.endSignal },
      ...{ tokenizer: this.tokenizer, beginsText: this.answersSources },
      ...{ signal: request.signal, deadlineMs: request.deadlineMs },
    });
  }

  /**
   * Logits of every position, in order, a few rows at a time: [rows, vocab].
   * stepTokens: that are computed at once, at most; left out: as many as is fast.
   * @throws {RequestError} when the ids do not fit the context or the vocabulary.
   */
  async logits(
    ids: readonly number[],
    onRows: (rows: Float32Array, firstPosition: number) => void,
    { stepTokens }: { stepTokens?: number } = {},
  ): Promise<void> {
    if (this.config.fill === undefined) this.#refuse("predict every token of a text");
    await this.#readAlone([ids], {}, (engine) => engine.logits(ids, onRows, stepTokens));
  }

  /**
   * How surprised the model is by the ids from index `from` on, each after all before it: the sum
   * of −log p, in nats.
   * @throws {RequestError} when the ids do not fit the context or the vocabulary.
   */
  async negativeLogLikelihood(ids: readonly number[], from: number): Promise<number> {
    check(Number.isInteger(from) && from >= 1, `ids from index ${from} on are predicted`);
    this.#refuse("measure how surprising a text is");
    return await this.#readAlone([ids], {}, (engine) => engine.texts.score(ids, from));
  }

  /**
   * Vectors of texts, [embeddingLength]: what the model's last norm leaves for their tokens, by the
   * file's way of pooling or their mean, and what the file's projections make of that. Of whatever
   * length they have.
   * @throws {RequestError} when the ids do not fit, or the file pools in another way.
   */
  embed(texts: Texts, options: EmbedOptions = {}): Promise<Float32Array[]> {
    return this.#texts.embed(texts, options);
  }

  /**
   * How well the second text of each pair goes with the first: see `LanguageModel`.
   * @throws {RequestError} when the ids do not fit; 400 where the file has no weights for it.
   */
  rank(pairs: Texts, options: EmbedOptions = {}): Promise<number[]> {
    return this.#texts.rank(pairs, options);
  }

  async promptLogprobs(
    ids: readonly number[],
    top: number,
    options: EmbedOptions = {},
  ): Promise<TokenLogprobs[]> {
    this.#refuse("say how likely a prompt is");
    const rows = logprobRows(top, Math.max(0, ids.length - 1));
    await this.#readAlone(
      [ids],
      options,
      (engine) => engine.texts.logprobs(ids, rows, options.signal),
    );
    return ids.slice(1).map((id, index) => readLogprobs(rows, { index, id }));
  }

  /**
   * Runs `ids` as one text, with nothing before it, and shows what neurons do: some tokens and one
   * layer at a time, layers in order. Arrays are views of shared memory, [tokens, neurons] and
   * [tokens, embeddingLength]: they change when the loop goes on. Needs `LoadOptions.observe`.
   * @throws {RequestError} when the ids do not fit the context or the vocabulary.
   */
  async *observe(ids: readonly number[]): AsyncGenerator<LayerObservation, void> {
    this.#refuse("observe neurons");
    check(this.#base === null, "a model is observed without adapters");
    this.#checkIds(ids, { mayFill: true });
    requireAlive(this.failure);
    const endTurn = await this.#queue.enter({ isAlone: true });
    try {
      yield* (await this.#engines.ready()).observe(ids);
    } finally {
      endTurn();
    }
  }

  /**
   * Runs `ids` as one text, with nothing before it, and sums up what products read. Needs
   * `LoadOptions.measureInputs`. readsOutput: also what the output projection reads.
   * @throws {RequestError} when the ids do not fit the context or the vocabulary.
   */
  async measureInputs(
    ids: readonly number[],
    { readsOutput, signal }: { readonly readsOutput: boolean; readonly signal?: AbortSignal },
  ): Promise<void> {
    this.#refuse("measure what its products read");
    const by = (engine: EngineHandle) => engine.texts.measure(ids, readsOutput, signal);
    await this.#readAlone([ids], { signal }, by);
  }

  /** The sums of all texts that were measured. */
  async inputSums(): Promise<readonly InputSums[]> {
    return await this.#readAlone([], {}, (engine) => engine.texts.inputSums());
  }

  /**
   * Compares the model's predictors with the neurons that fire in a text, and decides anew which of
   * them are used.
   * @returns what was found, by layer; null where the model has no predictors that could be used.
   * @throws {RequestError} when the ids do not fit the context or the vocabulary.
   */
  async rehearsePredictors(ids: readonly number[]): Promise<readonly PredictorChoice[] | null> {
    if (this.predictors === null) return null;
    return await this.#readAlone([ids], {}, (engine) => engine.rehearse(ids, "auto"));
  }

  /** Rate at which WASM kernels of all threads read the weights, GB/s: the roof of decoding. */
  async measureReadGbps(): Promise<number> {
    return await this.#readAlone([], {}, (engine) => engine.readSpeedGbps());
  }

  /**
   * Writes what it remembers of prompts into its file, if it has one (`prefixCacheFolder`).
   * @returns tokens that are remembered there.
   * @throws {Error} "Cannot write …": what was there before is still there.
   */
  async savePrefixes(): Promise<number> {
    if (this.#archive === null || this.failure !== null) return 0;
    const blocks = await (await this.#engines.ready()).saveKv(this.#archive);
    return (blocks ?? 0) * KV_BLOCK_POSITIONS;
  }

  /** Stops the threads. What it remembers of prompts is kept where it has a file for it. */
  async close(): Promise<void> {
    if (this.#base !== null) return; // which has the threads
    try {
      const all = this.#isClosed ? [] : [this, ...this.adapted];
      for (const each of all) await each.savePrefixes();
    } catch (error) {
      const why = messageOf(error);
      this.#notify({ kind: "warning", text: `What was computed of prompts is not kept: ${why}` });
    } finally {
      this.#isClosed = true;
      await Promise.all([this.#engines.close(), this.#images?.close()]);
    }
  }

  /** Why no request can be answered any more, or null. */
  get failure(): Error | null {
    return this.#engines.failure;
  }

  /** What of it a GPU computes now; null: nothing. */
  get gpu(): GpuPart | null {
    return this.#engines.gpu;
  }

  /** Of a model whose texts do not go on: what cannot be done with one. */
  #refuse(what: string): void {
    refuseEncoder(this.config);
    requireGoingOn(this.config, what);
  }

  /** Has whole texts read while no request runs. */
  async #readAlone<T>(
    texts: Texts,
    options: EmbedOptions,
    read: (engine: EngineHandle) => Promise<T>,
  ): Promise<T> {
    for (const ids of texts) this.#checkIds(ids, { mayFill: true });
    const adapters = this.#adapters.of(options.adapters);
    requireAlive(this.failure);
    const endTurn = await this.#queue.enter({ ...options, isAlone: true });
    try {
      return await this.#engines.use((engine) =>
        engine.texts.wearing(adapters, () => read(engine))
      );
    } finally {
      endTurn();
    }
  }

  #checkIds(ids: readonly number[], options?: Pick<IdLimits, "mayFill" | "given">): void {
    const { contextLength, config } = this;
    checkIds(ids, { contextLength, vocabSize: config.vocabSize, ...options });
    if (options?.given?.length) checkGiven(ids, options.given, { config, plans: this.#plans });
  }
}
