/**
 * How an image's patches, or windows of a sound's frames, become rows of the residual stream: W ·
 * patch + b, or two convolutions, and what is added to each row. The leader does it alone: patches
 * come to its thread, and W is small. Knows nothing of images.
 */
import { check } from "../../base/check.ts";
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import type { TowerInput } from "../../model/vision_types.ts";
import { floats } from "../bound/arena_views.ts";
import { bindNorm, type Norm, normalizeRows } from "../bound/bound_norm.ts";
import {
  type Activations,
  type Matrix,
  matrixOf,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";
import { Convolutions } from "./convolutions.ts";
import { Network, type NetworkInput } from "./network.ts";
import { Planes } from "./planes.ts";
import { Subsampling } from "./subsampling.ts";

export class PatchEmbedding {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #matrix: Matrix;
  readonly #secondFrame: Matrix | null;
  readonly #norm: Norm | null;
  /** Of patches themselves. */
  readonly #pixelNorm: Norm | null;
  /** Null: a product makes rows. */
  readonly #convolutions: Convolutions | null;
  /** Null: no plane of patches is convolved. */
  readonly #planes: Planes | null;
  /** Null: no frames are made fewer. */
  readonly #subsampling: Subsampling | null;
  /** Null: no network makes rows of patches. */
  readonly #network: Network | null;
  /** [chunkTokens, patch length], and what a product reads behind them. */
  readonly #patches: Float32Array;
  /** [chunkTokens, d]. */
  readonly #added: Float32Array;
  readonly #x: Activations;
  #input: TowerInput | null = null;
  /** The leader aborted the step while rows were made. */
  isAborted = false;

  /** memory: this rank's first arena. */
  constructor(
    state: StepState,
    { residual, memory, ...by }:
      & { residual: Residual; memory: WebAssembly.Memory }
      & Pick<NetworkInput, "control" | "plans" | "all">,
  ) {
    const { plan: { chunkTokens, embedding, secondFrame, secondConvolution }, config } = state;
    const { plan: { workspaces: [space] } } = state;
    const { embeddingLength, patches } = config;
    this.#state = state;
    this.#residual = residual;
    this.#matrix = matrixOf(embedding);
    this.#norm = bindNorm(state.plan.patchNorm);
    this.#pixelNorm = bindNorm(state.plan.pixelNorm);
    this.#secondFrame = secondFrame && matrixOf(secondFrame);
    this.#convolutions = secondConvolution && new Convolutions(state, memory, secondConvolution);
    const { columnCount } = this.#matrix;
    const length = chunkTokens * patches!.length + FLOAT_ROW_PAD_WEIGHTS;
    this.#patches = floats(memory, space.patches, length);
    const { plan: { planeMatrices: matrices, subsampling: plan } } = state;
    this.#planes = patches!.plane && matrices.length > 0
      ? new Planes(state, memory, { plane: patches!.plane, patches: this.#patches, matrices })
      : null;
    this.#subsampling = patches!.subsampling && plan
      ? new Subsampling(state, memory, {
        ...{ config: patches!.subsampling, patches: this.#patches, plan },
      })
      : null;
    const { plan: { network } } = state;
    this.#network = network &&
      new Network(state, { ...by, config: patches!.network!, plan: network });
    this.#added = floats(memory, space.incoming, chunkTokens * embeddingLength);
    this.#x = { f32: space.patches, stride: columnCount, q8: space.normedQ8 };
  }

  /** What the next step is of, on the rank that leads. */
  take(input: TowerInput): void {
    this.#input = input;
  }

  /** partial = W · patch + b, by one frame or two, + added; of all ranks but the leader nothing. */
  embed(): void {
    const { plan: { rankIndex, strides: { embedding: stride } } } = this.#state;
    const { kernels, space, partial, n } = this.#state;
    const { embeddingLength: d, patches: { areRows, subsampling } = {} } = this.#state.config;
    this.#residual.clear();
    if (rankIndex !== 0) {
      this.isAborted = this.#network !== null && !this.#network.run(null);
      return;
    }
    const input = this.#input;
    check(input !== null && input.count === n, "a step's patches were given before it");
    this.#input = null;
    this.#patches.set(input.patches);
    this.#patches.fill(0, input.patches.length, input.patches.length + FLOAT_ROW_PAD_WEIGHTS);
    if (this.#pixelNorm !== null) this.#normalizePatches(this.#pixelNorm, n);
    const { length } = input.patches;
    this.isAborted = this.#network !== null && !this.#network.run(partial);
    if (this.#network !== null) return;
    if (this.#subsampling !== null) this.#subsampling.run(length / subsampling!.bands, partial);
    else if (this.#planes !== null) this.#planes.run(partial);
    else if (this.#convolutions !== null) this.#convolutions.run(space.patches, partial);
    // They are added to nothing.
    else if (areRows) kernels.add_f32(partial, stride, space.patches, d, n, d);
    else this.#project(this.#matrix, partial);
    if (this.#secondFrame !== null) {
      this.#project(this.#secondFrame, space.incoming);
      kernels.add_f32(partial, stride, space.incoming, stride, n, d);
    }
    if (this.#norm !== null) this.#residual.normalize(partial, this.#norm, partial, n);
    if (input.added === null) return;
    this.#added.set(input.added);
    kernels.add_f32(partial, stride, space.incoming, d, n, d);
  }

  /** Each patch by its own mean and deviation. */
  #normalizePatches(norm: Norm, n: number): void {
    const { kernels, space: { ones }, config: { norm: { kind } }, fractions } = this.#state;
    const { f32: x, stride } = this.#x;
    const { epsilon } = fractions;
    normalizeRows(kernels, kind, norm, ones, x, stride, x, stride, n, stride, epsilon);
  }

  /** to [n, strides.embedding] = matrix · patch + b. */
  #project(matrix: Matrix, to: number): void {
    const { kernels, n, plan: { strides: { embedding: stride } } } = this.#state;
    if (readsQ8(matrix)) quantize(kernels, this.#x, n, matrix.columnCount);
    project(kernels, matrix, this.#x, n, to, stride);
  }
}
