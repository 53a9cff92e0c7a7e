/** What whoever uses the library may ask of loading a model. */
import type { FillOptions } from "./fill_options.ts";
import type { Notice } from "./predictor_report.ts";

/** How a model is loaded. Everything may be left out. */
export interface EngineOptions {
  /** Threads that compute; left out: one per core, at most 16. */
  readonly threads?: number;
  /** Tokens of prompt and answer together; left out: what it was trained for, at most 8192. */
  readonly contextLength?: number;
  /** Type of cached keys and values; "auto" (default): f32 for F32 models, else i16. */
  readonly kvType?: "auto" | "i16" | "f32";
  /**
   * Requests that are answered at the same time; each may fill the context. "auto": 4, or fewer
   * where their keys and values would take too much of this machine's memory; on a GPU that has not
   * enough for them the 4 share what there is, and one that may fill it waits. Default 1.
   */
  readonly parallel?: number | "auto";
  /** Requests that may wait for their turn. Default 16. */
  readonly maxWaiting?: number;
  /** Neurons that do not fire are not computed (default), in models whose neurons can be silent. */
  readonly sparse?: boolean;
  /**
   * Predictors of silent neurons, in models that have them: used where they are good and pay
   * ("auto", default), always, or never.
   */
  readonly predictor?: "auto" | "on" | "off";
  /**
   * Most bytes of memory that a packed model (.ganglion) may take; left out: most of what is free.
   * What does not fit stays on disk and is read as it is needed.
   */
  readonly memoryBytes?: number;
  /**
   * Whether rows of IQ1, IQ2, IQ3 and TQ1_0 are written out in memory, as codes of four bits (two):
   * two to four times as fast as looking them up, in 1.2 to 2.8 times the bytes, the same results.
   * "auto" (default): where `memoryBytes`, or most of what is free, has room. Not of packed models.
   */
  readonly writeOut?: "auto" | "on" | "off";
  /**
   * Whether a packed model (.ganglion) is read through the system's file cache, whose pages all
   * processes of a host share, and which is no part of `memoryBytes`: "on"; "off": past it; "auto"
   * (default): through it where the whole model will be in memory and the file has room beside it.
   */
  readonly fileCache?: "auto" | "on" | "off";
  /**
   * A folder for keys and values of prompts: written when the model is closed, read when it is
   * loaded again. Left out: they are forgotten.
   */
  readonly prefixCacheFolder?: string;
  /**
   * Whether a GPU computes, alone or beside the threads: "auto" (default) where a real one was
   * measured and pays; "on": it must; "force": a software adapter may, too; "off".
   */
  readonly gpu?: "auto" | "off" | "on" | "force";
  /** The last so many layers are the GPU's; left out: all of them, and no other thread computes. */
  readonly gpuLayers?: number;
  /** Most bytes of its memory that a GPU is asked for; left out: what it gives. */
  readonly gpuMemoryBytes?: number;
  /** "background": the GPU is given little at a time, so that a desktop stays responsive. */
  readonly priority?: "normal" | "background";
  /**
   * Guesses of what an answer goes on with, from what its prompt and itself have said: several
   * tokens a step where they are right, the same ids as without them. "auto" (default): as many as
   * pay by measured times; a number: always so many; "off" or 0: none. Models whose rows are not
   * the same beside others (neurons left out, packed, on a GPU) have none, nor have those whose
   * layers keep states.
   */
  readonly speculate?: "auto" | "off" | number;
  /**
   * A smaller model (.gguf) of the same vocabulary, or an EAGLE-3 one (`eagle3`) that was made for
   * the model, whose guesses are used, too, where they pay;
   * the same threads compute it, and its memory comes on top. Left out: none.
   */
  readonly draftModelPath?: string;
  /**
   * The file of the model's projector (an "mmproj" .gguf), with which it sees images or hears
   * sounds; its threads start with the first one, and its memory comes on top. Left out: the one
   * that lies beside the model and has its name, as `model.mmproj.gguf` beside `model.gguf`;
   * without one it reads text alone.
   */
  readonly projectorPath?: string;
  /** How a model that fills in texts (LLaDA, Dream, RND1) answers; others do not look at it. */
  readonly fill?: FillOptions;
  /** A chat template (Jinja) in place of the one in the model's file. */
  readonly chatTemplate?: string;
  /** Variables of the template where nobody sets them, as `enable_thinking`. */
  readonly templateVariables?: Readonly<Record<string, unknown>>;
  /**
   * Adapters (LoRA, .gguf) of the model, in order: what they add is put into the weights as they
   * are read. Left out: none.
   */
  readonly adapters?: readonly AdapterChoice[];
  /**
   * The type of matrices that adapters change. "auto" (default): their own where it is one of
   * floats, else Q8_0. "same": their own, which rounds to as few bits again.
   */
  readonly adapterType?: "auto" | "same" | "F32" | "F16" | "BF16" | "Q8_0";
  /**
   * Adapters that lie beside the weights, for requests to choose (`AnswerOptions.adapters`): what
   * they add is added as tokens are computed, on threads, to plain attention and dense blocks of
   * neurons. Left out: none.
   */
  readonly namedAdapters?: readonly NamedAdapter[];
  /**
   * Control vectors (.gguf) of the model, added up: each has a direction for some layers, which is
   * added behind these for every token. Left out: none.
   */
  readonly controlVectors?: readonly AdapterChoice[];
  /** The first and the last layer that they steer. Left out: all that they have directions for. */
  readonly controlVectorLayers?: { readonly first: number; readonly last: number };
  /** The name clients use; left out: the file's name. */
  readonly id?: string;
  /** Told how much has been loaded, several times. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Told what is worth knowing about the model; left out: warnings go to the console. */
  readonly onNotice?: (notice: Notice) => void;
}

/** An adapter, and how much of it. */
export interface AdapterChoice {
  /** Its file. */
  readonly path: string;
  /** Multiplies what it adds; left out: 1, as it was trained. */
  readonly scale?: number;
}

/** An adapter that requests may choose, and how much of it who asks by its name gets. */
export interface NamedAdapter {
  /** The name of the model with it. */
  readonly id: string;
  /** Its file. */
  readonly adapter: AdapterChoice;
}

/** How much of a model's weights is in memory. */
export interface LoadProgress {
  /** So far. */
  readonly loadedBytes: number;
  /** In the end. */
  readonly totalBytes: number;
}
