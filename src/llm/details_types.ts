/** What is known of a model beside what it answers: part of types.ts. */
import type { SamplingOptions } from "./types.ts";

/** Ids that mark the parts of a text with a gap, in the order in which they are written. */
export interface GapMarks {
  /** Before what comes before the gap. */
  readonly prefix: number;
  /** Before what comes after it. */
  readonly suffix: number;
  /** Before what fills it. */
  readonly middle: number;
  /** Before a repository's name; null: there is no such mark. */
  readonly repository: number | null;
  /** Before a file's name; null: there is no such mark. */
  readonly file: number | null;
}

/** An adapter (LoRA) that a model was loaded with. */
export interface AdapterUse {
  /** Its file's, without folders. */
  readonly name: string;
  /** How much of it: 1, as it was trained. */
  readonly scale: number;
}

/** What a model's file says about it. */
export interface ModelDetails {
  /** Its family: "llama". */
  readonly architecture: string;
  /** Numbers of all its tensors. */
  readonly parameterCount: number;
  /** The type of most of its weights: "Q4_0". */
  readonly quantization: string;
  /** Size of its file, or files. */
  readonly fileBytes: number;
  /** Numbers that a token is between two layers. */
  readonly embeddingLength: number;
  /** Ids are below it. */
  readonly vocabSize: number;
  /**
   * What can be asked of it: texts behind a prompt, vectors of texts, scores of pairs of them; and
   * whether prompts may have images or sounds.
   */
  readonly uses: readonly ("writing" | "vectors" | "ranking" | "images" | "sounds")[];
  /** Its own chat template; null: it has none. */
  readonly chatTemplate: string | null;
  /** Scores of pairs (`rank`) are shares, 0 to 1; else they are any numbers. */
  readonly scoresAreShares: boolean;
  /** What is in its weights beside what its file has, in order. */
  readonly adapters: readonly AdapterUse[];
  /**
   * What lies beside its weights, for requests to choose, and how much of it others get. Left out:
   * nothing.
   */
  readonly choosableAdapters?: readonly AdapterUse[];
  /** What steers its layers, and how much of each, in order. Left out: nothing. */
  readonly controlVectors?: readonly AdapterUse[];
  /** How its file wants ids to be chosen where a request does not say. */
  readonly sampling: SamplingOptions;
  /** Marks of its training to fill gaps; null: it has none. */
  readonly gapMarks: GapMarks | null;
  /** Numbers, flags and short texts of its header, by key. */
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}
