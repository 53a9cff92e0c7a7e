/** Shapes of real models: what `synth` can make. Data only. */

/** Everything that decides which tensors a model has and how large they are. */
export interface ModelShape {
  readonly architecture: "llama" | "qwen2" | "qwen3";
  readonly blockCount: number;
  readonly embeddingLength: number;
  readonly feedForwardLength: number;
  readonly headCount: number;
  readonly headCountKv: number;
  /** Left out: embeddingLength / headCount. */
  readonly headDim?: number;
  readonly vocabSize: number;
  /** Tokens. */
  readonly contextLength: number;
  readonly rmsEpsilon: number;
  readonly ropeBase: number;
  /** True when the output projection is the embedding table. */
  readonly tied: boolean;
}

/**
 * Real models by the name that `synth --shape` takes. Biases follow from "qwen2", norms of heads
 * from "qwen3".
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
} as const satisfies Readonly<Record<string, ModelShape>>;

/** A key of `SHAPES`. */
export type ShapeName = keyof typeof SHAPES;
