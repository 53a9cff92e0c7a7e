/**
 * What the benchmark knows of an engine: a name, and how to have it measured. Every measurement is
 * a process of its own, so that no two models share the memory.
 */

/** What an engine is asked to do. */
export interface Work {
  readonly modelPath: string;
  readonly threads: number;
  /** Ids of the prompt; engines that choose their own only look at the length. */
  readonly promptIds: readonly number[];
  /** Seed of `promptIds`. */
  readonly seed: number;
  readonly genTokens: number;
  /** Insist that the answer is decoded behind the prompt, where an engine would rather not. */
  readonly decodeAtDepth: boolean;
}

/** One round of one engine; loading the model is not in it. */
export interface Sample {
  /** Tokens of the prompt per second. */
  readonly prefillTps: number;
  /** Tokens of the answer per second. */
  readonly decodeTps: number;
  /** Fingerprint of the greedy ids; null where the engine does not tell them. */
  readonly idsHash: string | null;
  /** Version of the engine, where it tells one. */
  readonly version: string | null;
  /** Left out by engines that do not know. */
  readonly roof?: Roof;
}

/** What bounds decoding: the weights of a token, and the rate at which kernels can read. */
export interface Roof {
  readonly bytesPerToken: number;
  /** GB/s (1e9) of the threads of this round together. */
  readonly readGbps: number;
}

/** One loading of a model whose file lies in the page cache. */
export interface LoadSample {
  readonly loadMs: number;
  /** Time that one thread takes to read the file into a small buffer. */
  readonly readMs: number;
  /** Time that all threads take to read it into fresh memory; runs before 2026-11-26 lack it. */
  readonly freshReadMs?: number;
  readonly fileBytes: number;
}

export interface Engine {
  readonly name: string;
  /** What it runs with, for whoever repeats the run. */
  readonly settings: string;
  /** True for this project's own variants; the first of them is what others are compared with. */
  readonly isOurs: boolean;
  /** False where long contexts would take minutes a round. */
  readonly measuresContexts: boolean;
  /** @throws when the engine fails, or takes longer than `ENGINE_TIMEOUT_MS`. */
  measure(work: Work): Promise<Sample>;
  /** Only engines that let loading be measured have it. */
  measureLoad?(work: Pick<Work, "modelPath" | "threads">): Promise<LoadSample>;
}

/** A round may be slow; an engine that hangs must not stop the others. */
export const ENGINE_TIMEOUT_MS = 30 * 60_000;
