/** Every kind of projector that hears which this version reads, as data. */
import type { ConformerForm } from "./conformer_form.ts";
import { FAST_CONFORMER } from "./fast_conformer.ts";
import { GEMMA_CONFORMER } from "./gemma_conformer.ts";
import { graniteConformer } from "./granite_conformer.ts";
import { parakeetConformer } from "./parakeet_conformer.ts";
import type { Hyperparameters } from "../read/hyperparameters.ts";
import { COMMON, PLAIN_STAGE, type VisionKind } from "../vision/vision_kind.ts";

/** Towers are Whisper's encoder, a conformer, or there is none; what is behind it differs. */
export interface HearingKind extends VisionKind {
  /** There is no tower, and so many samples are a row. Left out: a spectrogram goes into one. */
  readonly samplesOfRow?: number;
  /** Means of so many rows go into the last norm. */
  readonly pooledRows: 1 | 2;
  /** The file says how many rows are one, side by side. */
  readonly isStacked: boolean;
  /** The last rows of a sound may be fewer; what is missing are zeros. */
  readonly isPadded: boolean;
  /** The first matrix is twice as high: behind what is let through lies what lets it through. */
  readonly isGated: boolean;
  /** Sounds are trained with silence behind them, as long as there are positions. */
  readonly isWhole: boolean;
  /**
   * Pieces of so many frames go through convolutions over both axes, and so many pieces at a time
   * through the layers. Left out: two convolutions over time make rows.
   */
  readonly pieces?: { readonly frames: number; readonly most: number };
  /** A conformer hears, in that form. Left out: Whisper's encoder, or nothing. */
  readonly conformer?: ConformerForm | ((keys: Hyperparameters) => ConformerForm);
  /** Sounds are heard in parts of so many rows of the tower. Left out: as long as positions are. */
  readonly partRows?: number;
}

const WHISPER: Omit<HearingKind, "name" | "projector"> = {
  ...{ ...COMMON, lastNorm: "a.post_ln" },
  ...{ pooledRows: 1, isStacked: false, isPadded: false, isGated: false, isWhole: false },
};

/** Of Qwen2-Audio: means of two rows. */
const qwen2a: HearingKind = {
  ...WHISPER,
  name: "qwen2a",
  pooledRows: 2,
  projector: {
    ...{ norm: null, stages: [], first: "mm.a.fc", isFirstTransposed: false },
    ...{ second: null, biases: "required", activation: null },
  },
};

/** Of Qwen 2.5 Omni, whose authors have it hear two seconds at a time. */
const qwen25o: HearingKind = { ...qwen2a, name: "qwen2.5o", partRows: 100 };

/** Of Qwen3-ASR and Qwen3-Omni: a second at a time through convolutions, eight through layers. */
const qwen3a: HearingKind = {
  ...WHISPER,
  name: "qwen3a",
  pieces: { frames: 100, most: 8 },
  projector: {
    ...{ norm: null, stages: [], first: "mm.a.mlp.1", isFirstTransposed: false },
    ...{ second: "mm.a.mlp.2", biases: "required", activation: "gelu" },
  },
};

/** Of Ultravox: eight rows side by side, norms before two matrices and between them. */
const ultravox: HearingKind = {
  ...WHISPER,
  name: "ultravox",
  ...{ isStacked: true, isPadded: true, isGated: true },
  projector: {
    norm: {
      ...{ of: "merged", kind: "rms", epsilon: 1e-6 },
      ...{ tensor: "mm.a.norm_pre", isOptional: false },
    },
    ...{ stages: [], first: "mm.a.mlp.1", isFirstTransposed: false, second: "mm.a.mlp.2" },
    ...{ biases: "none", activation: "silu" },
  },
};

/**
 * Of Voxtral: four rows side by side. Its authors take no means of two rows, as llama.cpp does
 * beforehand: half a minute is 375 rows.
 */
const voxtral: HearingKind = {
  ...WHISPER,
  name: "voxtral",
  ...{ isStacked: true, isWhole: true },
  projector: {
    ...{ norm: null, stages: [], first: "mm.a.mlp.1", isFirstTransposed: false },
    ...{ second: "mm.a.mlp.2", biases: "none", activation: "gelu" },
  },
};

/** Of Gemma 4 without towers: 40 ms of samples are projected as they are. */
const gemma4ua: HearingKind = {
  ...WHISPER,
  name: "gemma4ua",
  hasLayers: false,
  samplesOfRow: 640,
  epsilon: 1e-6,
  projector: {
    norm: { of: "rows", kind: "rms", epsilon: 1e-6, tensor: null, isOptional: false },
    ...{ stages: [], first: "mm.a.input_projection", isFirstTransposed: false },
    ...{ second: null, biases: "none", activation: null },
  },
};

/** Of Gemma 4: a conformer, and a norm of what it becomes. */
const gemma4a: HearingKind = {
  ...WHISPER,
  name: "gemma4a",
  conformer: GEMMA_CONFORMER,
  mayLimitProducts: true,
  epsilon: 1e-6,
  projector: {
    ...{ norm: null, stages: [], first: "a.pre_encode.out", isFirstTransposed: false },
    ...{ second: "mm.a.input_projection", biases: "ifThere", activation: null },
  },
};

/** Of GLM-ASR: four normalised rows side by side, and a row at each end of half a minute. */
const glma: HearingKind = {
  ...WHISPER,
  name: "glma",
  ...{ isStacked: true, isWhole: true, around: { begin: "v.boi", end: "v.eoi" } },
  projector: {
    norm: { of: "rows", kind: "layer", epsilon: null, tensor: "mm.a.norm_pre", isOptional: false },
    ...{ stages: [], first: "mm.a.mlp.1", isFirstTransposed: false },
    ...{ second: "mm.a.mlp.2", biases: "required", activation: "gelu" },
  },
};

/** Of Granite Speech: a conformer, and queries of windows of its rows. */
const graniteSpeech: HearingKind = {
  ...WHISPER,
  name: "granite_speech",
  conformer: graniteConformer,
  projector: {
    ...{ norm: null, stages: [], first: "a.proj_linear", isFirstTransposed: false },
    ...{ second: null, biases: "required", activation: null },
  },
};

/** Of LFM2-Audio: a conformer. Positions that its file has are nobody's. */
const lfm2a: HearingKind = {
  ...WHISPER,
  name: "lfm2a",
  conformer: FAST_CONFORMER,
  unused: ["a.position_embd.weight"],
  projector: {
    norm: { of: "rows", kind: "layer", epsilon: 1e-5, tensor: "mm.a.mlp.0", isOptional: false },
    ...{ stages: [], first: "mm.a.mlp.1", isFirstTransposed: false },
    ...{ second: "mm.a.mlp.3", biases: "required", activation: "geluErf" },
  },
};

/** Of MERaLiON: fifteen rows become one, which a gate lets through. */
const meralion: HearingKind = {
  ...WHISPER,
  name: "meralion",
  ...{ isStacked: true, isWhole: true },
  projector: {
    norm: {
      ...{ of: "merged", kind: "layer", epsilon: null },
      ...{ tensor: "mm.a.norm_pre", isOptional: false },
    },
    stages: [{ ...PLAIN_STAGE, matrix: "mm.a.mlp.0", activation: "silu" }],
    ...{ first: "mm.a.mlp.2", gate: "mm.a.mlp.1", isFirstTransposed: false },
    ...{ second: "mm.a.mlp.3", biases: "required", activation: "silu" },
  },
};

/** Of Music Flamingo: means of two rows. */
const musicFlamingo: HearingKind = {
  ...WHISPER,
  name: "musicflamingo",
  pooledRows: 2,
  projector: {
    ...{ norm: null, stages: [], first: "mm.a.mlp.1", isFirstTransposed: false },
    ...{ second: "mm.a.mlp.2", biases: "required", activation: "gelu" },
  },
};

/** Of Nemotron's omni models: LFM2-Audio's conformer, with what it counted in training. */
const parakeet: HearingKind = {
  ...WHISPER,
  name: "parakeet",
  conformer: parakeetConformer,
  // llama.cpp asks for them, whatever the file sees.
  unused: ["mm.model.mlp.0.weight", "mm.model.mlp.1.weight", "mm.model.mlp.3.weight"],
  projector: {
    norm: {
      ...{ of: "rows", kind: "rms", epsilon: 1e-6 },
      ...{ tensor: "mm.a.norm_pre", isOptional: false },
    },
    ...{ stages: [], first: "mm.a.mlp.1", isFirstTransposed: false },
    ...{ second: "mm.a.mlp.2", biases: "ifThere", activation: "relu2" },
  },
};

/** In alphabetical order. */
export const HEARING: readonly HearingKind[] = [
  ...[gemma4a, gemma4ua, glma, graniteSpeech, lfm2a],
  ...[meralion, musicFlamingo, parakeet, qwen25o, qwen2a, qwen3a, ultravox, voxtral],
];
