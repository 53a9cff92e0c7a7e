/**
 * The control plane: what the main thread asks of the engine's threads, and what they answer.
 * Messages are for loading, requests and errors; nothing is posted per token or per layer. A
 * request's ids come through the control block (src/memory/control.ts).
 */
import type { Speculate } from "../src/engine/drafts/drafts.ts";
import type { InputSums } from "../src/engine/input_sums.ts";
import type { KvArchiveFile } from "../src/engine/kv_archive.ts";
import type { LogprobRows } from "../src/engine/logprob_rows.ts";
import type {
  EngineRequest,
  EngineResult,
  PredictorChoice,
  PredictorPolicy,
} from "../src/engine/types.ts";
import type { Pooling } from "../src/model/types.ts";
import type { TowerInput } from "../src/model/vision_types.ts";
import type { BoardSetup, FileStamp, MeasuredReads, MeasureReads } from "../src/io/mod.ts";
import type { DraftSetup, RankSetup } from "../src/rank/open_rank.ts";
import type { BlockSamples, TrainedPredictor, TrainerOptions } from "../src/train/mod.ts";
import type { ImageConfig, SoundConfig } from "../src/model/vision_types.ts";
import type { ImageTables, PreparedImage } from "../src/vision/mod.ts";

/** What can be asked: parameters and result of every call. */
export interface Calls {
  /** Loads the rank's share of the weights; answered when it is ready to compute. */
  load: { params: LoadParams; result: Record<never, never> };
  /** Rank 0 only. The slot is the request's until it is answered: control_layout.ts. */
  generate: {
    params: { readonly request: EngineRequest; readonly slot: number };
    result: EngineResult;
  };
  /**
   * Rank 0 only. Begins a copy of remembered keys and values, of what begins like `ids` or of all;
   * null: they lie where nobody can. There is one copy at a time: the newest.
   */
  copyKv: {
    params: Omit<KvArchiveFile, "path"> & { readonly ids?: readonly number[] };
    result: { readonly begun: KvCopyHead | null };
  };
  /** Rank 0 only. The copy's next records, of so many bytes or one; null: there are no more. */
  nextKv: {
    params: { readonly bytesMax: number };
    result: { readonly records: Uint8Array<ArrayBuffer> | null };
  };
  /** Rank 0 only. Brings back what such a file has; null: it is none of this model. */
  restoreKv: { params: KvArchiveFile; result: { readonly blocks: number | null } };
  /** Rank 0 only. Whole texts are read with so much of each adapter from now on. */
  wear: { params: { readonly adapters: readonly number[] }; result: Record<never, never> };
  /** Rank 0 only. Logits of every position; the rows come as "rows" events. */
  logits: {
    params: { ids: readonly number[]; stepTokens?: number };
    result: { readonly isComplete: boolean };
  };
  /** Rank 0 only. Sum of −log p of the ids from index `from` on; null when it was cancelled. */
  score: {
    params: { ids: readonly number[]; from: number };
    result: { readonly nll: number | null };
  };
  /** Rank 0 only. How likely each id but the first was, a row for each; false: cancelled. */
  logprobs: {
    params: { ids: readonly number[]; rows: LogprobRows };
    result: { readonly isComplete: boolean };
  };
  /** Rank 0 only. Vectors of texts; null when it was cancelled. */
  embed: {
    params: { texts: readonly (readonly number[])[]; pooling: Pooling };
    result: { readonly vectors: readonly Float32Array[] | null };
  };
  /** Rank 0 of a tower. Rows of an image; null when it was cancelled. */
  see: {
    params: { readonly input: TowerInput };
    result: { readonly rows: Float32Array | null };
  };
  /** Rank 0 only. Runs a text for what its products read; false: cancelled. */
  measure: {
    params: { ids: readonly number[]; readsOutput: boolean };
    result: { readonly isComplete: boolean };
  };
  /** Rank 0 only. What all products have read. */
  inputSums: { params: Record<never, never>; result: { readonly sums: readonly InputSums[] } };
  /**
   * Rank 0 only. Runs some ids of a text from `position` on; what they show is in the observation
   * when the call returns, and stays there until the next one.
   */
  observe: {
    params: { ids: readonly number[]; position: number };
    result: { readonly isComplete: boolean };
  };
  /**
   * Rank 0 only. Compares predictors with what fires in a text and decides which are used; null
   * when it was cancelled.
   */
  rehearse: {
    params: { ids: readonly number[]; policy: PredictorPolicy };
    result: { readonly choices: readonly PredictorChoice[] | null };
  };
  /** Rank 0 only. Rate at which all ranks together read their weights, GB/s. */
  readSpeed: { params: Record<never, never>; result: { gbps: number } };
  /** Trainers only. Trains a layer's predictor; rejected once the word at `cancelWord` is not 0. */
  trainPredictor: { params: TrainerJob; result: TrainedPredictor };
  /** Meters only. Milliseconds of each pass over a memory, which all threads begin together. */
  readMemory: { params: MeterJob; result: { readonly ms: readonly number[] } };
  /** The thread of images and sounds only. Tables are null when they are as they were before. */
  prepareImage: {
    params: {
      readonly file: Uint8Array;
      readonly config: ImageConfig | SoundConfig;
      readonly tables: ImageTables | null;
    };
    result: PreparedImage;
  };
  /** I/O workers only. Opens the file; answered when it is open, and then it serves the board. */
  serveReads: { params: ReadSetup; result: Record<never, never> };
  /** I/O workers only, instead of serving. Reads for a while. */
  measureReads: { params: MeasureReads; result: MeasuredReads };
  /**
   * Ends the thread; it says "bye" instead of answering. Rank 0 sends the other ranks home first,
   * because a rank that follows steps hears no message.
   */
  close: { params: Record<never, never>; result: Record<never, never> };
}

/** What a copy of keys and values will be. */
export interface KvCopyHead {
  readonly start: Uint8Array<ArrayBuffer>;
  readonly sizeBytes: number;
  readonly recordBytes: number;
}

/** What a rank is, and what its leader does beside leading. */
export interface LoadParams extends RankSetup {
  /** How guesses of what comes next are used; left out: not at all. */
  readonly speculate?: Speculate;
  /** A smaller model that guesses, too; left out: there is none. */
  readonly draft?: DraftSetup;
}

/** Everything a thread needs to serve reads. */
export interface ReadSetup {
  /** The thread's index among I/O workers. */
  readonly worker: number;
  readonly board: BoardSetup;
  readonly path: string;
  /** What the file must be; null: whatever it is. */
  readonly stamp: FileStamp | null;
  /** False: through the system's file cache. */
  readonly direct: boolean;
  /** [rank][arena]: where reads go. */
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
}

/** A layer's training as it is posted: nothing of it is copied. */
export interface TrainerJob {
  readonly samples: BlockSamples;
  readonly options: TrainerOptions;
  /** The compiled kernels. */
  readonly module: WebAssembly.Module;
  /** i32 [1] */
  readonly cancelWord: SharedArrayBuffer;
}

/** What a meter reads, with whom. */
export interface MeterJob {
  /** The compiled kernels. */
  readonly module: WebAssembly.Module;
  readonly sizeBytes: number;
  readonly passes: number;
  /** i32 [1]: threads that were ready for a pass so far. */
  readonly arrivals: SharedArrayBuffer;
  readonly threads: number;
}

export type CallName = keyof Calls;

export type CallMessage = {
  [K in CallName]: { readonly call: K; readonly id: number; readonly params: Calls[K]["params"] };
}[CallName];

/** An error as it crosses threads. */
export interface ErrorData {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly worker: string;
  /** Where in a file, for a ModelFormatError. */
  readonly offsetBytes?: number;
  readonly path?: string;
  /** What a RequestError says beside its message. */
  readonly request?: {
    readonly status: number;
    readonly code: string | null;
    readonly param: string | null;
  };
}

export type ReplyMessage =
  | { readonly kind: "result"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: ErrorData }
  /** The thread's last message. */
  | { readonly kind: "bye" }
  /** The thread cannot go on; nothing it was asked will be answered. */
  | { readonly kind: "failure"; readonly error: ErrorData }
  /** Bytes of weights loaded since the last such message. */
  | { readonly kind: "progress"; readonly bytes: number }
  /** Samples that a predictor was trained on since the last such message, and its rank. */
  | { readonly kind: "trained"; readonly samples: number; readonly rank: number }
  /** Logits of positions from `firstPosition` on, [rows, vocab]. */
  | { readonly kind: "rows"; readonly firstPosition: number; readonly rows: Float32Array };
