/** Shapes of real models: what `synth` can make. Data only. */

/** Everything that decides which tensors a model has and how large they are. */
export interface ModelShape {
  readonly architecture:
    | "llama"
    | "qwen2"
    | "qwen3"
    | "qwen3moe"
    | "gpt-oss"
    | "bamboo"
    | "smallthinker"
    | "nemotron_h_moe";
  readonly blockCount: number;
  readonly embeddingLength: number;
  /** Neurons of a block, or of one expert. */
  readonly feedForwardLength: number;
  readonly experts?: { readonly count: number; readonly usedCount: number };
  /** A layer does one thing. Left out: each attends and has neurons. */
  readonly hybrid?: HybridShape;
  readonly headCount: number;
  readonly headCountKv: number;
  /** Left out: embeddingLength / headCount. */
  readonly headDim?: number;
  readonly vocabSize: number;
  /** Tokens. */
  readonly contextLength: number;
  readonly rmsEpsilon: number;
  readonly ropeBase: number;
  /** YaRN: how many times as long the context is, and what it was. Left out: no scaling. */
  readonly yarn?: { readonly factor: number; readonly originalContextLength: number };
  /** True when the output projection is the embedding table. */
  readonly tied: boolean;
  /**
   * What the file says of its neurons, because it is not what the family computes. Left out: the
   * family's, and with `--sparsity` ReLU.
   */
  readonly activation?: "relu" | "drelu";
  /** Tokens that windowed layers see. Left out: all layers see everything. */
  readonly slidingWindow?: number;
  /** Hidden units of a predictor, a multiple of 32. Left out: see `predictorRank`. */
  readonly predictorRank?: number;
}

/** Of Nemotron 3: which layers do what, and what they have that those of others do not. */
export interface HybridShape {
  /** By layer: M keeps states, E has experts, * attends. */
  readonly layers: string;
  /** Of states. */
  readonly states: Readonly<Record<"heads" | "headDim" | "groups" | "length" | "taps", number>>;
  /** Numbers that experts read. */
  readonly latentLength: number;
  /** Neurons of the expert that every token uses. */
  readonly sharedLength: number;
  /** Multiplies what experts give. */
  readonly weightScale: number;
}

/** True when the family's files need not say that their neurons are ReLU's. */
export function isReluFamily({ architecture }: ModelShape): boolean {
  return architecture === "bamboo" || architecture === "smallthinker";
}

/** True when both halves of a neuron pass through ReLU. */
export function rectifiesUp({ architecture, activation }: ModelShape): boolean {
  return architecture === "bamboo" || activation === "drelu";
}

/** False where weights cannot be made such that neurons are silent: `--sparsity` refuses it. */
export function mayBeSparse({ architecture, tied }: ModelShape): boolean {
  return !tied && architecture !== "gpt-oss" && architecture !== "nemotron_h_moe";
}

/** Predictors' share of the weights of their neurons: that of Bamboo-7B's files. */
const PREDICTOR_SHARE = 0.133;
/** Block of the types that predictors have. */
const RANK_STEP = 32;

/** Hidden units of the predictors of such a model, where nobody says. */
export function predictorRank(shape: ModelShape): number {
  if (shape.predictorRank !== undefined) return shape.predictorRank;
  const { embeddingLength: width, feedForwardLength: neurons } = shape;
  const rank = PREDICTOR_SHARE * 3 * width * neurons / (width + neurons);
  return Math.max(PREDICTOR_RANK_MIN, RANK_STEP * Math.round(rank / RANK_STEP));
}

/** Fewer hidden units cannot tell neurons apart: see predicted_neurons.ts. */
export const PREDICTOR_RANK_MIN = 5 * RANK_STEP;

/**
 * Real models by the name that `synth --shape` takes. Biases follow from "qwen2" and "gpt-oss",
 * sinks from the latter, norms of heads from "qwen3" and "qwen3moe".
 */
export const SHAPES = {
  "llama-160m": {
    architecture: "llama",
    blockCount: 12,
    embeddingLength: 768,
    feedForwardLength: 3072,
    headCount: 12,
    headCountKv: 12,
    vocabSize: 32000,
    contextLength: 2048,
    rmsEpsilon: 1e-6,
    ropeBase: 10000,
    tied: false,
  },
  "tinyllama-1.1b": {
    architecture: "llama",
    blockCount: 22,
    embeddingLength: 2048,
    feedForwardLength: 5632,
    headCount: 32,
    headCountKv: 4,
    vocabSize: 32000,
    contextLength: 2048,
    rmsEpsilon: 1e-5,
    ropeBase: 10000,
    tied: false,
  },
  // Its sliding window is left out, so that all engines compute the same.
  "mistral-7b": {
    architecture: "llama",
    blockCount: 32,
    embeddingLength: 4096,
    feedForwardLength: 14336,
    headCount: 32,
    headCountKv: 8,
    vocabSize: 32000,
    contextLength: 32768,
    rmsEpsilon: 1e-5,
    ropeBase: 10000,
    tied: false,
  },
  // Its divisors of the rotary frequencies are left out.
  "llama-3.2-1b": {
    architecture: "llama",
    blockCount: 16,
    embeddingLength: 2048,
    feedForwardLength: 8192,
    headCount: 32,
    headCountKv: 8,
    vocabSize: 128256,
    contextLength: 131072,
    rmsEpsilon: 1e-5,
    ropeBase: 500000,
    tied: true,
  },
  "qwen2-0.5b": {
    architecture: "qwen2",
    blockCount: 24,
    embeddingLength: 896,
    feedForwardLength: 4864,
    headCount: 14,
    headCountKv: 2,
    vocabSize: 151936,
    contextLength: 32768,
    rmsEpsilon: 1e-6,
    ropeBase: 1000000,
    tied: true,
  },
  "qwen2.5-1.5b": {
    architecture: "qwen2",
    blockCount: 28,
    embeddingLength: 1536,
    feedForwardLength: 8960,
    headCount: 12,
    headCountKv: 2,
    vocabSize: 151936,
    contextLength: 32768,
    rmsEpsilon: 1e-6,
    ropeBase: 1000000,
    tied: true,
  },
  "qwen3-0.6b": {
    architecture: "qwen3",
    blockCount: 28,
    embeddingLength: 1024,
    feedForwardLength: 3072,
    headCount: 16,
    headCountKv: 8,
    headDim: 128,
    vocabSize: 151936,
    contextLength: 40960,
    rmsEpsilon: 1e-6,
    ropeBase: 1000000,
    tied: true,
  },
  "qwen3-4b": {
    architecture: "qwen3",
    blockCount: 36,
    embeddingLength: 2560,
    feedForwardLength: 9728,
    headCount: 32,
    headCountKv: 8,
    headDim: 128,
    vocabSize: 151936,
    contextLength: 40960,
    rmsEpsilon: 1e-6,
    ropeBase: 1000000,
    tied: true,
  },
  "qwen3-30b-a3b": {
    architecture: "qwen3moe",
    blockCount: 48,
    embeddingLength: 2048,
    feedForwardLength: 768,
    experts: { count: 128, usedCount: 8 },
    headCount: 32,
    headCountKv: 4,
    headDim: 128,
    vocabSize: 151936,
    contextLength: 40960,
    rmsEpsilon: 1e-6,
    ropeBase: 1000000,
    tied: false,
  },
  "gpt-oss-20b": {
    architecture: "gpt-oss",
    blockCount: 24,
    embeddingLength: 2880,
    feedForwardLength: 2880,
    experts: { count: 32, usedCount: 4 },
    headCount: 64,
    headCountKv: 8,
    headDim: 64,
    vocabSize: 201088,
    contextLength: 131072,
    rmsEpsilon: 1e-5,
    ropeBase: 150000,
    yarn: { factor: 32, originalContextLength: 4096 },
    tied: false,
    slidingWindow: 128,
  },
  // TurboSparse-Mistral-7B, too. Its sliding window is left out, as Mistral's is.
  "bamboo-7b": {
    architecture: "bamboo",
    blockCount: 32,
    embeddingLength: 4096,
    feedForwardLength: 14336,
    headCount: 32,
    headCountKv: 8,
    vocabSize: 32000,
    contextLength: 32768,
    rmsEpsilon: 1e-5,
    ropeBase: 10000,
    tied: false,
  },
  // ProSparse-7B, too, but for the threshold of its FATReLU.
  "relullama-7b": {
    architecture: "llama",
    activation: "relu",
    blockCount: 32,
    embeddingLength: 4096,
    feedForwardLength: 11008,
    headCount: 32,
    headCountKv: 32,
    vocabSize: 32000,
    contextLength: 4096,
    rmsEpsilon: 1e-5,
    ropeBase: 10000,
    tied: false,
    predictorRank: 1696,
  },
  "relullama-13b": {
    architecture: "llama",
    activation: "relu",
    blockCount: 40,
    embeddingLength: 5120,
    feedForwardLength: 13824,
    headCount: 40,
    headCountKv: 40,
    vocabSize: 32000,
    contextLength: 4096,
    rmsEpsilon: 1e-5,
    ropeBase: 10000,
    tied: false,
    predictorRank: 2112,
  },
  // In the form of its llama-format files: scales folded into two tables, plain ReLU.
  "minicpm-s-1b": {
    architecture: "llama",
    activation: "relu",
    blockCount: 52,
    embeddingLength: 1536,
    feedForwardLength: 3840,
    headCount: 24,
    headCountKv: 8,
    vocabSize: 73440,
    contextLength: 4096,
    rmsEpsilon: 1e-5,
    ropeBase: 10000,
    tied: false,
  },
  "turbosparse-mixtral-47b": {
    architecture: "llama",
    activation: "drelu",
    blockCount: 32,
    embeddingLength: 4096,
    feedForwardLength: 14336,
    experts: { count: 8, usedCount: 2 },
    headCount: 32,
    headCountKv: 8,
    vocabSize: 57024,
    contextLength: 32768,
    rmsEpsilon: 1e-5,
    ropeBase: 1000000,
    tied: false,
    predictorRank: 1024,
  },
  "smallthinker-4b": {
    architecture: "smallthinker",
    blockCount: 32,
    embeddingLength: 1536,
    feedForwardLength: 768,
    experts: { count: 32, usedCount: 4 },
    headCount: 12,
    headCountKv: 2,
    headDim: 128,
    vocabSize: 151936,
    contextLength: 32768,
    rmsEpsilon: 1e-6,
    ropeBase: 1500000,
    tied: false,
  },
  "smallthinker-21b": {
    architecture: "smallthinker",
    blockCount: 52,
    embeddingLength: 2560,
    feedForwardLength: 768,
    experts: { count: 64, usedCount: 6 },
    headCount: 28,
    headCountKv: 4,
    headDim: 128,
    vocabSize: 151936,
    contextLength: 16384,
    rmsEpsilon: 1e-6,
    ropeBase: 1500000,
    tied: false,
    slidingWindow: 4096,
  },
  // Without its block that guesses.
  "nemotron-3-super-120b": {
    architecture: "nemotron_h_moe",
    blockCount: 88,
    embeddingLength: 4096,
    feedForwardLength: 2688,
    experts: { count: 512, usedCount: 22 },
    hybrid: {
      layers: "MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*" +
        "EMEMEMEME",
      states: { heads: 128, headDim: 64, groups: 8, length: 128, taps: 4 },
      ...{ latentLength: 1024, sharedLength: 5376, weightScale: 5 },
    },
    headCount: 32,
    headCountKv: 2,
    headDim: 128,
    vocabSize: 131072,
    contextLength: 262144,
    rmsEpsilon: 1e-5,
    ropeBase: 10000,
    tied: false,
  },
} as const satisfies Readonly<Record<string, ModelShape>>;

/** A key of `SHAPES`. */
export type ShapeName = keyof typeof SHAPES;
