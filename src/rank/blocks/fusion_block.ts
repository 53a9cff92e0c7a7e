/**
 * What a model that guesses with another one's rows (EAGLE-3) has before its layer: of the rows
 * that went into some layers of the other model one matrix makes a row, which enters the layer;
 * attention reads it beside the embedding of the token that came next, normalised each by itself.
 * A guess behind a guess takes the row that the one before has left.
 */
import { check } from "../../base/check.ts";
import { floats } from "../bound/arena_views.ts";
import { bindNorm, type Norm, normalizeRows } from "../bound/bound_norm.ts";
import type { Layer } from "../bound/layer.ts";
import {
  type Activations,
  type Matrix,
  matrixOf,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import { fusedStride, type GuessPlan, keptLength } from "../plan/plan_guess.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";
import { GuessBlock } from "./guess_block.ts";
import type { KeptRows } from "./kept_rows.ts";

export interface FusionInput {
  readonly residual: Residual;
  readonly plan: GuessPlan;
  /** Of all ranks. */
  readonly plans: readonly RankPlan[];
  /** All ranks' arenas: [rank][arena]. */
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  /** Null: another rank has them. */
  readonly rows: KeptRows | null;
}

export class FusionBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #plan: GuessPlan;
  readonly #merge: Matrix;
  readonly #norms: {
    readonly embedding: Norm;
    readonly row: Norm;
    readonly input: Norm | null;
  };
  /** Null: another rank puts them in. */
  readonly #rows: KeptRows | null;
  /** What rows are made of, on this rank and on the one that leads. */
  readonly #fused: Activations;
  readonly #own: Float32Array;
  readonly #leaders: Float32Array;
  readonly #length: number;
  readonly #pairRows: Float32Array;

  constructor(state: StepState, by: FusionInput) {
    const { config, plan: { chunkTokens, rankIndex, workspaces } } = state;
    const { plan: { arena, merge, embeddingNorm, rowNorm, inputNorm }, plans, memories } = by;
    const isNear = plans.every((each) => each.layers[0].arena === 0);
    check(arena === 0 && isNear, "pairs lie where they are read, in the first arena");
    this.#state = state;
    this.#residual = by.residual;
    this.#plan = by.plan;
    this.#merge = matrixOf(merge);
    this.#norms = {
      ...{ embedding: bindNorm(embeddingNorm), row: bindNorm(rowNorm) },
      input: bindNorm(inputNorm),
    };
    this.#rows = by.rows;
    const stride = fusedStride(config);
    const { fused, q8 } = workspaces[arena].guess!;
    this.#fused = { f32: fused, stride, q8 };
    const viewOf = (rank: number) => {
      const at = plans[rank].workspaces[arena].guess!.fused;
      return floats(memories[rank][arena], at, chunkTokens * stride);
    };
    this.#own = viewOf(rankIndex);
    this.#leaders = rankIndex === 0 ? this.#own : viewOf(0);
    this.#length = keptLength(config);
    const { pairs } = state.inputs;
    const at = workspaces[arena].guess!.pairs;
    this.#pairRows = floats(memories[rankIndex][arena], at, chunkTokens * pairs.stride);
  }

  /** Before the step's first join: whoever leads shows all ranks what rows are made of, normed. */
  show(): void {
    const { n, isGuess, kernels, config, space, fractions: { epsilon } } = this.#state;
    if (this.#rows === null || isGuess) return;
    const { f32, stride } = this.#fused, { input } = this.#norms;
    this.#own.fill(0, 0, n * stride);
    for (let t = 0; t < n; t++) this.#rows.put(t, this.#own, t * stride);
    if (input === null) return;
    const { norm: { kind } } = config, width = this.#length;
    normalizeRows(kernels, kind, input, space.ones, f32, stride, f32, stride, n, width, epsilon);
  }

  /**
   * residual = merge · norm(rows of the other model), or the row before; pairs = [norm(embedding),
   * norm(that)]. The residual is the embedding.
   * @returns false when the leader aborted the step.
   */
  enter(): boolean {
    const { config: { embeddingLength: d, guess }, isGuess, n } = this.#state;
    this.#state.carryTo(this.#plan.arena);
    // Products read what is behind the width, too.
    this.#pairRows.fill(0, 0, n * this.#state.inputs.pairs.stride);
    this.#put(this.#norms.embedding, 0);
    this.#residual.clear();
    if (!isGuess) this.#fuse();
    else if (this.#rows !== null) this.#rows.putCarried(this.#residual.partialToFill());
    if (!this.#residual.takeSum()) return false;
    this.#put(this.#norms.row, d);
    const { space } = this.#state;
    if (guess!.fusion!.normalizesResidual) {
      this.#residual.normalize(space.residual, this.#norms.row, space.residual, n);
    }
    return true;
  }

  /** partial's own rows = merge · what the leader shows. */
  #fuse(): void {
    const { kernels, partial, n, plan: { strides } } = this.#state;
    const x = this.#fused, length = this.#length;
    if (this.#merge.rowCount === 0) return;
    if (this.#own !== this.#leaders) {
      for (let i = 0; i < n * x.stride; i++) this.#own[i] = this.#leaders[i];
    }
    if (readsQ8(this.#merge)) quantize(kernels, x, n, length);
    const from = partial + 4 * this.#plan.rows.start;
    project(kernels, this.#merge, x, n, from, strides.embedding);
  }

  /** Columns from `column` on of the pairs, which are zeros, = norm(residual). */
  #put(norm: Norm, column: number): void {
    const { kernels, space, config: { embeddingLength: d }, plan: { strides }, n } = this.#state;
    const { f32, stride } = this.#state.inputs.pairs;
    this.#residual.normalize(space.residual, norm, space.normed, n);
    kernels.add_f32(f32 + 4 * column, stride, space.normed, strides.embedding, n, d);
  }
}

/** What a rank's plan has before a layer that guesses; null: nothing does. */
export function guessBlock(
  state: StepState,
  by: Omit<FusionInput, "plan">,
): GuessBlock | FusionBlock | null {
  const { plan: { guess: plan, rankIndex }, config } = state;
  if (plan === null) return null;
  if (config.guess?.fusion) return new FusionBlock(state, { ...by, plan });
  const { residual, rows, memories } = by;
  return new GuessBlock(state, { residual, plan, memory: memories[rankIndex][plan.arena], rows });
}

/** What attention reads: the norm of the stream, or of a fusion pairs; as q8 tiles where wanted. */
export function attentionInput(state: StepState, residual: Residual, layer: Layer): Activations {
  const { inputs: { pairs }, kernels, config: { guess, embeddingLength: d }, n } = state;
  const { attentionNorm, projectionsReadQ8 } = layer;
  if (!guess?.fusion) return residual.read(attentionNorm, projectionsReadQ8);
  if (projectionsReadQ8) quantize(kernels, pairs, n, 2 * d);
  return pairs;
}
