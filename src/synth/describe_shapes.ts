/** What there is to choose from, in numbers. */
import { elementCount } from "../model/dtypes.ts";
import { modelTensors } from "./layout.ts";
import {
  isReluFamily,
  mayBeSparse,
  type ModelShape,
  predictorRank,
  rectifiesUp,
  type ShapeName,
  SHAPES,
} from "./shapes.ts";

/** A shape as `synth --list` shows it. */
export interface ShapeSummary {
  readonly name: ShapeName;
  readonly architecture: string;
  readonly layers: number;
  /** Width of the residual stream. */
  readonly width: number;
  /** Neurons of a block, or of one expert. */
  readonly neurons: number;
  /** Experts that a layer has and that a token uses; null: the model is dense. */
  readonly experts: { readonly count: number; readonly usedCount: number } | null;
  readonly vocabulary: number;
  /** Weights, without predictors. */
  readonly parameters: number;
  /** What its neurons compute, without a sparsity. */
  readonly activation: "silu" | "swiglu7" | "relu" | "drelu" | "relu2";
  /** Hidden units of its predictors. */
  readonly predictor_rank: number;
  /** True when `--sparsity` goes with it. */
  readonly may_be_sparse: boolean;
}

/** All shapes, in the order of `SHAPES`. */
export function describeShapes(): ShapeSummary[] {
  return (Object.keys(SHAPES) as ShapeName[]).map((name): ShapeSummary => {
    const shape: ModelShape = SHAPES[name];
    return {
      name,
      architecture: shape.architecture,
      layers: shape.blockCount,
      width: shape.embeddingLength,
      neurons: shape.feedForwardLength,
      experts: shape.experts ?? null,
      vocabulary: shape.vocabSize,
      parameters: parameterCount(shape),
      activation: activationOf(shape),
      predictor_rank: predictorRank(shape),
      may_be_sparse: mayBeSparse(shape),
    };
  });
}

function parameterCount(shape: ModelShape): number {
  return modelTensors(shape, "F32")
    .reduce((sum, { dims }) => sum + elementCount(dims), 0);
}

function activationOf(shape: ModelShape): ShapeSummary["activation"] {
  if (shape.architecture === "gpt-oss") return "swiglu7";
  if (shape.architecture === "nemotron_h_moe") return "relu2";
  if (rectifiesUp(shape)) return "drelu";
  return isReluFamily(shape) ? "relu" : shape.activation ?? "silu";
}
