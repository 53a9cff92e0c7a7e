/** Shapes of real models: what `synth` can make. Data only. */

/** Everything that decides which tensors a model has and how large they are. */
export interface ModelShape {
  readonly architecture: "llama" | "qwen2";
  readonly blockCount: number;
  readonly embeddingLength: number;
  readonly feedForwardLength: number;
  readonly headCount: number;
  readonly headCountKv: number;
  readonly vocabSize: number;
  /** Tokens. */
  readonly contextLength: number;
  readonly rmsEpsilon: number;
  readonly ropeBase: number;
  /** True when the output projection is the embedding table. */
  readonly tied: boolean;
}

/** Real models by the name that `synth --shape` takes. Biases follow from "qwen2". */
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
} as const satisfies Readonly<Record<string, ModelShape>>;

/** A key of `SHAPES`. */
export type ShapeName = keyof typeof SHAPES;
