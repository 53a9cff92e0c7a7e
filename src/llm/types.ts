/**
 * A language model as its users see it: text in, text out. The server and the command line know
 * only this interface; tests put a scripted model behind it.
 */
import type { SamplerStep } from "../base/sampler_steps.ts";
import type { GivenRows, RowGrid } from "../engine/types.ts";
import type { NeuronActivity } from "./activity_types.ts";
import type { ModelDetails } from "./details_types.ts";
import type { GrammarSource, Prelude } from "./grammar_types.ts";
import type { Conversations, KvUse } from "./kept_types.ts";

export type { GivenRows, RowGrid, SamplerStep };
export type { AdapterUse, GapMarks, ModelDetails } from "./details_types.ts";
export type { LayerActivity, NeuronActivity } from "./activity_types.ts";
export type {
  GrammarLead,
  GrammarMark,
  GrammarPart,
  GrammarParts,
  GrammarSource,
  Prelude,
} from "./grammar_types.ts";
export type { Conversations, KvUse } from "./kept_types.ts";

/** How the next id is chosen from the logits. Left-out fields mean "off" or the default shown. */
export interface SamplingOptions {
  /** 0 = greedy. Default 0.8. */
  readonly temperature?: number;
  /** Keep the k best; 0 = all. Default 40. */
  readonly topK?: number;
  /** Keep the smallest set whose probability reaches p. Default 0.95; 1 = off. */
  readonly topP?: number;
  /** Drop what is less than `minP` times as likely as the best. Default 0.05; 0 = off. */
  readonly minP?: number;
  /** Locally typical sampling mass; 1 = off (default). */
  readonly typicalP?: number;
  /** Divides (positive) or multiplies (negative) logits of recent ids; 1 = off (default). */
  readonly repeatPenalty?: number;
  /** How many recent ids the three penalties look at; default 64, -1 = all. */
  readonly repeatLastN?: number;
  /** Subtracted once per earlier occurrence; 0 = off (default). */
  readonly frequencyPenalty?: number;
  /** Subtracted when the id occurred at all; 0 = off (default). */
  readonly presencePenalty?: number;
  /** Keep what is at most so many deviations of all logits below the best; 0 = off (default). */
  readonly topNSigma?: number;
  /**
   * How often all choices of at least `xtcThreshold` but the least likely of them are left out;
   * 0 = off (default).
   */
  readonly xtcProbability?: number;
  /** A share of the probability; default 0.1, above 0.5 = off. */
  readonly xtcThreshold?: number;
  /** The temperature is so much less where the model is sure, so much more where it is not. */
  readonly temperatureRange?: number;
  /** How the model's uncertainty, 0 to 1, is bent for that; default 1. */
  readonly temperatureExponent?: number;
  /** Penalty of an id that goes on with what was said before; 0 = off (default). */
  readonly dryMultiplier?: number;
  /** By what it grows with each id that has been repeated; default 1.75. */
  readonly dryBase?: number;
  /** Repetitions of fewer ids cost nothing; default 2. */
  readonly dryAllowedLength?: number;
  /** How many recent ids are looked at; default -1 = all. */
  readonly dryLastN?: number;
  /** No repetition goes on across an id that has one of these in it; default `\n : " *`. */
  readonly dryBreakers?: readonly string[];
  /** Keeps answers as surprising as `mirostatTau`, in place of the steps; 0 = off, 1, 2. */
  readonly mirostat?: 0 | 1 | 2;
  /** Bits of surprise of an id; default 5. */
  readonly mirostatTau?: number;
  /** How fast that is learnt; default 0.1. */
  readonly mirostatEta?: number;
  /** Prefers ids of about this probability (adaptive-p); below 0 = off (default). Mirostat wins. */
  readonly adaptiveTarget?: number;
  /** What earlier ids count for what is aimed at next, 0 to 0.99; default 0.9. */
  readonly adaptiveDecay?: number;
  /** The steps in another order than `SAMPLER_STEPS`; those that are left out are off. */
  readonly steps?: readonly SamplerStep[];
  /** Added to the logits of these ids; -Infinity forbids. */
  readonly logitBias?: ReadonlyMap<number, number>;
  /** Same seed and request, same ids. Left out: a fresh random seed. */
  readonly seed?: number;
}

/** So much of one of the model's adapters. */
export interface AdapterShare {
  /** Its place in `ModelDetails.choosableAdapters`. */
  readonly id: number;
  /** 1: as it was trained. */
  readonly scale: number;
}

/** A prompt as ids, and what its answer shall be like. */
export interface GenerateRequest {
  /** The whole prompt, BOS included where the model wants it; those below 0 are of `given`. */
  readonly ids: readonly number[];
  /** Rows that stand in the prompt in place of embeddings: of images. */
  readonly given?: readonly GivenRows[];
  /** Adapters that count, and no others. Left out: as the model has them. */
  readonly adapters?: readonly AdapterShare[];
  /** At most this many new tokens; left out: until the context is full. */
  readonly maxTokens?: number;
  /** How ids are chosen. */
  readonly sampling?: SamplingOptions;
  /** Generation ends before any of these texts, which is not part of the answer. */
  readonly stop?: readonly string[];
  /** Ends the generation as a stop text does, with "stop": for who reads answers more closely. */
  readonly endSignal?: AbortSignal;
  /** The answer is a sentence of it. */
  readonly grammar?: GrammarSource;
  /** What it begins with, which is over in time. */
  readonly prelude?: Prelude;
  /** 0..20: how many alternatives are shown beside each chosen id; left out: none is wanted. */
  readonly logprobs?: number;
  /** Go on past end-of-generation tokens (benchmarks). */
  readonly ignoreEnd?: boolean;
  /** Stops the generation within a token (or a prompt chunk) of being aborted. */
  readonly signal?: AbortSignal;
  /** Larger is served first; default 0. */
  readonly priority?: number;
  /** Milliseconds from now after which it ends, with what there is and "time". */
  readonly deadlineMs?: number;
}

/** How likely the model found an id. */
export interface TokenLogprob {
  /** The id. */
  readonly id: number;
  /** ln p of the softmax of the model's own logits, before penalties, bias and temperature. */
  readonly logprob: number;
}

/** A chosen id, and the likeliest ones at its place, best first. */
export interface TokenLogprobs extends TokenLogprob {
  /** The likeliest ids at its place. */
  readonly top: readonly TokenLogprob[];
}

/** A piece of the answer: what one or more new ids added to the text. */
export interface GenerateChunk {
  /** May be empty: partial UTF-8 and possible stop strings are held back. */
  readonly text: string;
  /** The new ids. */
  readonly ids: readonly number[];
  /**
   * Where they were asked for: of the ids whose text is shown by now. Those of what is held back
   * come when that does, and those of a stop text never.
   */
  readonly logprobs?: readonly TokenLogprobs[];
  /** Ids of the answer so far that were guessed ahead; left out: none. */
  readonly draftedTokens?: number;
  /** Those of them that were right. */
  readonly acceptedTokens?: number;
}

/** "time": its deadline came. */
export type FinishReason = "stop" | "length" | "time" | "cancelled";

/** llama.cpp's timing fields, measured on the engine's thread. */
export interface Timings {
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** How many of the prompt's tokens were in the cache already. */
  readonly cachedTokens?: number;
  /** Milliseconds that reading the prompt took. */
  readonly promptMs: number;
  /** Tokens of the answer. */
  readonly predictedTokens: number;
  /** Milliseconds from the first token of the answer to its last. */
  readonly predictedMs: number;
  /** Ids that were guessed ahead, where some were. */
  readonly draftedTokens?: number;
  /** Those of them that became the answer's. */
  readonly acceptedTokens?: number;
  /** Neurons that decoding left out because they did not fire. */
  readonly skippedNeurons?: number;
  /** Bytes of their weights. */
  readonly skippedBytes?: number;
  /** Of a packed model: what decoding found in memory, and what it read from disk. */
  readonly streamed?: StreamTimings;
  /** Milliseconds of decoded tokens, of all of them in order. */
  readonly tokenMs?: { readonly p50: number; readonly p90: number; readonly p99: number };
}

/** Sums over all ranks while an answer was decoded. */
export interface StreamTimings {
  /** Neurons that were needed and in memory. */
  readonly hits: number;
  /** Neurons that were needed and on disk. */
  readonly misses: number;
  /** How often something was read. */
  readonly diskReads: number;
  /** Bytes that were read. */
  readonly diskBytes: number;
  /** How long ranks waited for the disk. */
  readonly diskWaitMs: number;
  /** Of the misses: neurons that were asked for while the layer before was computed. */
  readonly neededAhead: number;
  /** Neurons that were asked for so, needed or not. */
  readonly askedAhead: number;
}

/** What is known once a generation has ended. */
export interface GenerateResult {
  /** The whole answer. */
  readonly text: string;
  /** Its ids. */
  readonly ids: readonly number[];
  /** Why it ended. */
  readonly finishReason: FinishReason;
  /** The stop text that ended it; left out: none did. */
  readonly stopText?: string;
  /** How long it took. */
  readonly timings: Timings;
}

/**
 * A generation under way: iterate it for the pieces, from the first on, as often as you like;
 * `result` settles when it ends. Leaving an iteration early aborts the generation.
 */
export interface Generation extends AsyncIterable<GenerateChunk> {
  /** Settles when the generation ends. */
  readonly result: Promise<GenerateResult>;
}

/** What somebody says in a conversation. */
export interface ChatMessage {
  /** "system", "user", "assistant", "tool", or what else the model's template knows. */
  readonly role: string;
  /** The text. */
  readonly content: string;
  /** What stands between its characters, in order. */
  readonly images?: readonly MessageImage[];
  /** What else the template is told, as `tool_calls`. */
  readonly [field: string]: unknown;
}

/** An image in a message, or a sound. */
export interface MessageImage {
  /** UTF-16 units of the message's content before it. */
  readonly at: number;
  /** A PNG, JPEG, WebP, GIF or BMP file; of a sound a WAV, MP3, FLAC, M4A, Opus or WebM. */
  readonly file: Uint8Array;
  /** Left out: an image. */
  readonly kind?: "image" | "sound";
}

/** What a model has seen of the images of a conversation, or heard of its sounds. */
export interface SeenImages {
  /** By image, in order: what stands in its place, ids below 0 for rows of `given` among others. */
  readonly ids: readonly (readonly number[])[];
  /** What goes with a request for an answer. */
  readonly given: readonly GivenRows[];
}

/** How a conversation is rendered. */
export interface ChatOptions {
  /** Functions that the model may call, in OpenAI's form. */
  readonly tools?: readonly unknown[];
  /** More variables for the template, as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** Ends the prompt where the assistant's answer begins. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** A text that is too long for the context anyway is refused before its tokens are counted. */
  readonly mustFit?: boolean;
  /** What `lookAt` has made of these messages' images; needed where there are some. */
  readonly images?: SeenImages;
}

/** How texts are read as a whole. */
export interface EmbedOptions {
  /** Leaves the queue when it is aborted, and ends the reading of a text within a step. */
  readonly signal?: AbortSignal;
  /** Larger ones leave the queue first. Default 0. */
  readonly priority?: number;
  /** As of an answer. */
  readonly adapters?: readonly AdapterShare[];
}

/** Ids of texts of any length, in steps of a few milliseconds. */
export interface PromptSteps {
  /** As `LanguageModel.encodeChat`. */
  chat(messages: readonly ChatMessage[], options?: ChatOptions): Generator<void, number[]>;
  /** As `LanguageModel.encodePrompt`. */
  prompt(text: string, options?: Pick<ChatOptions, "mustFit">): Generator<void, number[]>;
  /** As `LanguageModel.encodeText`. */
  text(
    text: string,
    options?: { [K in "special" | "bos" | "mustFit"]?: boolean },
  ): Generator<void, number[]>;
  /**
   * Of a text that is read as a whole (`embed`), with what the model wants around it; with `isCut`
   * what does not fit the context is left out.
   */
  whole(text: string, options?: { mustFit?: boolean; isCut?: boolean }): Generator<void, number[]>;
  /**
   * Of two texts that are read together (`rank`); with `isCut` the end of a document that does not
   * fit the context is left out.
   */
  pair(query: string, document: string, options?: { isCut?: boolean }): Generator<void, number[]>;
}

/** A model that answers; ids are its own. */
export interface LanguageModel {
  /** The name clients use. */
  readonly id: string;
  /** Unix seconds at which the model was loaded. */
  readonly created: number;
  /** Tokens a request may use, prompt and answer together. */
  readonly contextLength: number;
  /**
   * Prompts are sources, which answers do not go on with but begin anew. False or left out: an
   * answer goes on where its prompt ends.
   */
  readonly answersSources?: boolean;
  /** Tokens of an answer where nobody says; left out: as many as there is room for. */
  readonly answerTokens?: number;

  /** A conversation rendered by the model's own template, with SPECIAL_TOKEN_BREAKERs taken out. */
  renderChat(messages: readonly ChatMessage[], options?: ChatOptions): string;
  /** Ids of a conversation, rendered by the model's own template, ready to be answered. */
  encodeChat(messages: readonly ChatMessage[], options?: ChatOptions): number[];
  /**
   * Looks at the images of messages, or listens to their sounds, so that `encodeChat` can put them
   * in their places; left out: it reads none. isCounted: how many ids they take is wanted, and no
   * rows.
   * @throws {RequestError} 400 when one is no image or sound, or too large; 503 when too many wait.
   */
  lookAt?(
    messages: readonly ChatMessage[],
    options?: EmbedOptions & { readonly isCounted?: boolean },
  ): Promise<SeenImages>;
  /** Ids of a raw prompt, BOS added where the model wants it; special tokens are not parsed. */
  encodePrompt(text: string, options?: Pick<ChatOptions, "mustFit">): number[];
  /** Ids of any text: special tokens parsed with `special`, BOS before it with `bos`. */
  encodeText(text: string, options?: { [K in "special" | "bos" | "mustFit"]?: boolean }): number[];
  /** The same of texts of any length, for a thread that others need. */
  readonly inSteps: PromptSteps;
  /** Text of ids, control tokens left out. */
  decode(ids: readonly number[]): string;
  /** The token's bytes, as they appear in text; empty for control tokens. */
  tokenBytes(id: number): Uint8Array;
  /**
   * Pooled hidden states of texts, [embeddingLength], not normalised; left out: it has none.
   * @throws {RequestError} when the ids do not fit the context or the vocabulary.
   */
  embed?(
    texts: readonly (readonly number[])[],
    options?: EmbedOptions,
  ): Promise<Float32Array[]>;
  /**
   * How well the second text of each pair (`inSteps.pair`) goes with the first: larger is better;
   * left out: it does not say.
   * @throws {RequestError} when the ids do not fit, or the model has no weights for it.
   */
  rank?(pairs: readonly (readonly number[])[], options?: EmbedOptions): Promise<number[]>;
  /**
   * How likely every id but the first was after all before it, with `top` alternatives (0..20);
   * left out: it does not say.
   * @throws {RequestError} when the ids do not fit the context or the vocabulary.
   */
  promptLogprobs?(
    ids: readonly number[],
    top: number,
    options?: EmbedOptions,
  ): Promise<TokenLogprobs[]>;

  /**
   * Starts a generation, or queues it behind the running one.
   * @throws {RequestError} at once: 503 `queue_full` when too many wait already; 400
   *   `context_length_exceeded` when the prompt does not fit; 400 for an empty prompt.
   */
  generate(request: GenerateRequest): Generation;

  /**
   * Requests that come from now on and choose no adapters have so much of these, and nothing of
   * the others; left out: it has none.
   * @throws {RequestError} 400 when it has no such adapter, or cannot do without one.
   */
  chooseAdapters?(shares: readonly AdapterShare[]): void;
  /** The same model with one of its adapters each: in its engine, and its turns. */
  readonly adapted?: readonly LanguageModel[];
  /** Left out: they cannot be kept. */
  readonly conversations?: Conversations;
  /** What its file says about it; left out: unknown. */
  readonly details?: ModelDetails;
  /** Why no request can be answered any more; null or left out while the model works. */
  readonly failure?: Error | null;
  /** The cache of keys and values; left out: nobody counts. */
  readonly kv?: KvUse;
  /** What its neurons have done so far; left out: nobody counts. */
  readonly neurons?: NeuronActivity;
  /** Requests running and waiting now. */
  readonly load: { readonly running: number; readonly waiting: number };
  /** How many may run at once; left out: nobody says. */
  readonly runningMax?: number;
  /** Lets go of everything; answers under way are "cancelled". */
  close(): Promise<void>;
}
