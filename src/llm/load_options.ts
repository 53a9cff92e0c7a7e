/** What can be asked of loading a model, and what is meant where nothing is said. */
import type { Plane } from "../memory/observation.ts";
import { readsWhole } from "../model/layer_config.ts";
import type { ModelDescription } from "../model/types.ts";
import { DRAFTS_MAX, type Speculate } from "../engine/drafts/drafts.ts";
import { CHUNK_TOKENS_RESIDENT, type MachineProfile } from "../planner/mod.ts";
import { STEP_TOKENS } from "../rank/plan/plan.ts";
import type { StreamingChoice } from "../rank/plan/plan_units.ts";
import type { StreamingSteps } from "../rank/plan/stream_types.ts";
import { fillSettings } from "./fill_options.ts";
import type { EngineOptions } from "./engine_options.ts";

export type GpuMode = NonNullable<EngineOptions["gpu"]>;

/** Everything that can be asked, by the command line, by tests and by measurements. */
export interface LoadOptions extends EngineOptions {
  /** Named adapters that could not lie beside the weights, for messages. Left out: all could. */
  readonly adaptersApart?: AdaptersApart;
  /** Tokens of a prompt that are computed at once. Default 64, of a mixture of experts 256. */
  readonly chunkTokens?: number;
  /** Rows of an image that see each other and so are one step, which is as long at least. */
  readonly wholeRows?: number;
  /**
   * What `LoadedModel.observe` shall show; left out or empty: nothing, at no cost. A model that is
   * observed computes every neuron.
   */
  readonly observe?: readonly Plane[];
  /** Most bytes of what is shown at once; left out: 64 MiB. Fewer tokens a step fit into less. */
  readonly observeBytesMax?: number;
  /**
   * Sums up what products read, for `measureInputs` and `inputSums`, and leaves out no silent
   * neuron; left out: not, at no cost.
   */
  readonly measureInputs?: boolean;
  /** Leaves out quiet neurons, not only silent ones: not exact, off by default. */
  readonly quiet?: QuietNeurons;
  /** Logit from which on a neuron is predicted to fire; left out: what the file says. */
  readonly predictorThreshold?: number;
  /** For how long an engine that works may get nowhere before it is given up; default 60 s. */
  readonly stuckMs?: number;
  /** Entry of the engine's thread; tests put one in that fails. */
  readonly leaderScript?: string;
  /** Of these, what whoever loads the model needs for itself; left out: nothing. */
  readonly besideBytes?: number;
  /** How fast this machine is: what streaming is planned by; left out: as another one was. */
  readonly profile?: MachineProfile;
  /** What streaming shall not do to be fast (for measurements); left out: all is done. */
  readonly streamingSteps?: Partial<StreamingSteps>;
  /** Of neurons on disk, gates are read before the rest; left out: where that is faster. */
  readonly gatesFirst?: boolean;
  /** How a packed model is run, whatever memory there is (for tests and measurements). */
  readonly streaming?: StreamingChoice;
  /**
   * Of the neurons of these layers, 0 to 1: the most frequent ones are the GPU's, by `firing`, or
   * the first ones. Several: in steps of 1, 2, 8, 32 tokens and more, ascending. Left out: 1.
   */
  readonly hotShare?: number | readonly number[];
  /** How often neurons fire. */
  readonly firing?: FiringRates;
  /**
   * From so many tokens on, a step of a prompt brings the GPU the neurons that it has no room for,
   * and it computes them all; 0: never; left out: what measured rates say.
   */
  readonly gpuStreamFrom?: number;
  /** The GPU is shared with other threads even where it could have all (for tests). */
  readonly besideGpu?: boolean;
  /** The GPU is lost in the step of that number, counted from 1 (for tests). */
  readonly gpuLossAtStep?: number;
  /** The same of the GPU that looks at images, each time that it is opened (for tests). */
  readonly gpuLossAtLook?: number;
  /**
   * Tokens that a GPU computes in one wait take at most so long together, ms; 0: one token a wait.
   * Left out: 33, and on software one token.
   */
  readonly gpuWaitMs?: number;
  /**
   * Threads that read a packed model; left out: the kernel does it where it may be asked
   * (`--allow-ffi`, Linux) and the file cache is not used, else as many as its disk is worth.
   */
  readonly ioWorkers?: number;
  /** Most bytes of one thread's arena; smaller ones make models span several (for tests). */
  readonly arenaBytesMax?: number;
}

/** Adapters that are in the weights of models of their own. */
export interface AdaptersApart {
  /** The model without any of them. */
  readonly base: string;
  /** The others, each with why: "… because OBSTACLE". */
  readonly models: readonly { readonly id: string; readonly obstacle: string }[];
}

/** Which neurons are left out of a model whose neurons are never silent (SiLU, GELU). */
export interface QuietNeurons {
  /** By layer: a neuron is left out where |act(gate)| is not above it. */
  readonly thresholds: readonly number[];
  /** Of the model that they were measured on: src/gguf/fingerprint.ts. Others refuse them. */
  readonly modelFingerprint: string;
  /** What its user should know of it: a notice when the model is loaded. */
  readonly note?: string;
}

/** How often each neuron fires, as `profile` counted it. */
export interface FiringRates {
  /** By layer, [neurons]. */
  readonly counts: readonly Uint32Array[];
  /** Of the model that they were counted on. Others refuse them. */
  readonly modelFingerprint: string;
}

const CONTEXT_LENGTH_MAX_DEFAULT = 8192;
/** Where a text is computed at once, or a source, what lies between layers is as long as it. */
const WHOLE_CONTEXT_MAX_DEFAULT = 2048;
/** A GPU takes apart each weight once for a tile of 128 tokens, and is idle where tiles are few. */
const CHUNK_TOKENS_ON_GPU = 512;
/** Requests that may wait for their turn. */
export const WAITING_MAX_DEFAULT = 16;
/** Requests that are answered at a time where nobody says, if there is room. */
export const PARALLEL_AUTO_MAX = 4;
const THREADS_MAX_DEFAULT = 16;
/** What the options that count something may be; positions are 32-bit words between threads. */
const OPTION_RANGES = {
  threads: [1, 64],
  contextLength: [1, 2 ** 31 - 1],
  chunkTokens: [1, 1024],
  wholeRows: [1, 1024],
  parallel: [1, 64],
  gpuLayers: [0, 2 ** 31 - 1],
  gpuMemoryBytes: [0, Number.MAX_SAFE_INTEGER],
  gpuStreamFrom: [0, 2 ** 31 - 1],
  speculate: [0, DRAFTS_MAX],
  maxWaiting: [0, Number.MAX_SAFE_INTEGER],
} as const;
/** What they may be beside numbers. */
const WORDS: { readonly [name in keyof typeof OPTION_RANGES]?: readonly string[] } = {
  parallel: ["auto"],
  speculate: ["auto", "off"],
};

/** How guesses are used, as the engine takes it. */
export function speculateFor({ speculate = "auto" }: LoadOptions): Speculate {
  return speculate === "off" ? 0 : speculate;
}

/** Threads that compute. */
export function rankCountFor({ threads }: LoadOptions): number {
  return threads ?? Math.min(THREADS_MAX_DEFAULT, navigator.hardwareConcurrency);
}

/** Ranks where a GPU is one of them: its thread computes little, but wants a core when it joins. */
export function rankCountWithGpu({ threads }: LoadOptions, isAlone: boolean): number {
  if (isAlone) return 1;
  const cores = Math.min(THREADS_MAX_DEFAULT, navigator.hardwareConcurrency);
  return (threads ?? Math.max(1, cores - 1)) + 1;
}

/** Tokens of context. */
export function contextLengthFor({ config }: ModelDescription, options: LoadOptions): number {
  const { contextLength: trained, source } = config;
  if (options.contextLength !== undefined) return options.contextLength;
  // A source and an answer, each as long as the model was trained with.
  if (source) return Math.min(2 * trained, WHOLE_CONTEXT_MAX_DEFAULT);
  const most = readsWhole(config) ? WHOLE_CONTEXT_MAX_DEFAULT : CONTEXT_LENGTH_MAX_DEFAULT;
  return Math.min(trained, most);
}

/** Tokens of a prompt that are computed at once. */
export function chunkTokensFor({ config }: ModelDescription, onlyOnGpu = false): number {
  if (onlyOnGpu) return CHUNK_TOKENS_ON_GPU;
  return CHUNK_TOKENS_RESIDENT[config.experts ? "mixture" : "dense"];
}

/** @throws {RangeError} when an option is no whole number of its range. */
export function checkLoadOptions(options: LoadOptions): void {
  const names = Object.keys(OPTION_RANGES) as (keyof typeof OPTION_RANGES)[];
  for (const name of names) {
    const value = options[name];
    const [min, max] = OPTION_RANGES[name];
    if (value === undefined || WORDS[name]?.includes(String(value))) continue;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
      continue;
    }
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new RangeError(
      `Cannot load a model with ${name} ${value}: a whole number ${range} is needed`,
    );
  }
  checkHotShares(options);
  checkNames(options);
  fillSettings(options.fill);
  const { predictorThreshold: threshold } = options;
  if (threshold !== undefined && !Number.isFinite(threshold)) {
    throw new RangeError(
      `Cannot load a model with predictorThreshold ${threshold}: a finite number is needed`,
    );
  }
}

/** Shares by step size, as they were asked for; null: they were not. */
export function hotSharesOf({ hotShare }: LoadOptions): readonly number[] | null {
  return hotShare === undefined ? null : typeof hotShare === "number" ? [hotShare] : hotShare;
}

/** Their tensors are told apart by their names, too. */
function checkNames({ namedAdapters = [] }: LoadOptions): void {
  const names = namedAdapters.map(({ id }) => id);
  const twice = names.find((id, index) => names.indexOf(id) < index);
  if (twice === undefined) return;
  throw new RangeError(
    `Cannot load a model with two namedAdapters of the id "${twice}": give each its own`,
  );
}

function checkHotShares(options: LoadOptions): void {
  const shares = hotSharesOf(options);
  if (shares === null) return;
  const isInOrder = shares.every((share, i) => share >= (shares[i - 1] ?? 0) && share <= 1);
  if (isInOrder && shares.length >= 1 && shares.length <= STEP_TOKENS.length) return;
  throw new RangeError(
    `Cannot load a model with hotShare ${shares}: 1 to ${STEP_TOKENS.length} numbers from 0 to ` +
      "1 are needed, none smaller than the one before",
  );
}
