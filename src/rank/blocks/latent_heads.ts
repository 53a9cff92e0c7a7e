/**
 * Latent attention on one rank, as attention over the one head that is cached: instead of making
 * every token's keys and values of its latent, queries are taken to where latents are, and what
 * attention mixes of latents is made values afterwards (the "absorbed" form of DeepSeek-V2, 2.1.2).
 * Attention itself is attention_block.ts.
 */
import { SEGMENT_POSITION, SEGMENT_ROWS, SEGMENT_WORDS } from "../../memory/control_layout.ts";
import { configOf } from "../../model/layer_config.ts";
import { growthAt } from "../../model/rope.ts";
import type { LatentConfig } from "../../model/types.ts";
import type { LatentMatrices } from "../bound/bound_latent.ts";
import type { Layer } from "../bound/layer.ts";
import { type Activations, type Matrix, multiply, quantize, readsQ8 } from "../bound/matrix.ts";
import { type LatentWorkspace, queryStride } from "../plan/plan_latent.ts";
import type { KeyChooser } from "./key_chooser.ts";
import type { Residual } from "../step/residual.ts";
import { lengthOf } from "../plan/shard.ts";
import type { StepState } from "../step/step_state.ts";

/** A layer's latents, and what lies in its workspace for the products of single heads. */
interface HeadInputs {
  readonly latent: LatentConfig;
  readonly down: Activations;
  readonly plain: readonly Activations[];
  readonly mixed: readonly Activations[];
}

export class LatentHeads {
  readonly #state: StepState;
  readonly #residual: Residual;
  /** By layer; null: it keeps states instead. */
  readonly #inputs: readonly (HeadInputs | null)[];
  readonly #chooser: KeyChooser | null;

  constructor(
    state: StepState,
    by: { readonly residual: Residual; readonly chooser: KeyChooser | null },
  ) {
    this.#state = state;
    this.#residual = by.residual;
    this.#chooser = by.chooser;
    const { workspaces, layers } = state.plan;
    this.#inputs = layers.map(({ latent, heads, arena }, index) => {
      const own = configOf(state.config, index).latent;
      return latent && inputsOf(workspaces[arena].latent!, own!, lengthOf(heads));
    });
  }

  /**
   * query = [W · x, Wkeys · (W · x)] of each own head, x being norm(residual) or made of it;
   * key = [W · norm(residual), norm(W · norm(residual))]. What comes first is turned later.
   */
  project(layer: Layer, matrices: LatentMatrices): void {
    const { kernels, space, n, fractions: { epsilon } } = this.#state;
    const { headDim } = layer;
    const inputs = this.#inputs[layer.index]!;
    const { latent: { length, turnedDim }, plain } = inputs;
    const x = this.#residual.read(layer.attentionNorm, matrices.readsQ8);
    const { attentionGate: gate } = layer;
    if (gate !== null) {
      const { attention: stride } = this.#state.plan.strides;
      multiply(kernels, gate.matrix, x, n, space.attentionGate, stride);
    }
    multiply(kernels, layer.key, x, n, space.key, headDim);
    const latents = space.key + turnedDim * 4;
    kernels.head_norm_f32(latents, headDim, n, 1, length, matrices.norm, 0, epsilon, 0);
    const { turnedNorm } = matrices;
    if (turnedNorm !== 0) {
      kernels.head_norm_f32(space.key, headDim, n, 1, turnedDim, turnedNorm, 0, epsilon, 0);
    }

    const queryInput = this.#queryInput(matrices, inputs, x);
    const { turnedQueries, plainQuery, keyUps, indexer } = matrices;
    // As long as the tiles are of what queries are made of.
    if (indexer !== null) this.#chooser!.project(indexer, x, queryInput);
    const heads = keyUps.length;
    multiply(kernels, plainQuery, queryInput, n, space.latent!.plain, plainQuery.rowCount);
    for (let head = 0; head < heads; head++) {
      const query = space.query + head * headDim * 4;
      multiply(kernels, turnedQueries[head], queryInput, n, query, heads * headDim);
    }
    for (let head = 0; head < heads; head++) {
      const query = space.query + (head * headDim + turnedDim) * 4;
      this.#multiply(keyUps[head], plain[head], query, heads * headDim);
    }
    this.#growQueries(heads * headDim);
  }

  /** Queries far into the context are longer; what turns of them turns all the same. */
  #growQueries(width: number): void {
    const { kernels, space, n, arena, arenaViews, plan, config, segments } = this.#state;
    const { queryTemperature: temperature } = config;
    if (temperature === null) return;
    const { rankIndex, chunkTokens } = plan;
    // No heads are normalised here: the factors of their norms have this place.
    const factors = arenaViews.squares[arena][rankIndex];
    const first = 2 * chunkTokens;
    let t = first;
    for (let at = 0; t < first + n; at += SEGMENT_WORDS) {
      const position = segments[at + SEGMENT_POSITION], rows = segments[at + SEGMENT_ROWS];
      for (let row = 0; row < rows; row++) factors[t++] = growthAt(position + row, temperature);
    }
    kernels.scale_rows_f32(space.query, width, space.squares + 4 * first, n, width);
  }

  /** What queries are made of: x itself, or norm(W · x). */
  #queryInput(
    { queryDown, queriesReadQ8 }: LatentMatrices,
    { down, latent: { queryLength } }: HeadInputs,
    x: Activations,
  ): Activations {
    if (queryDown === null) return x;
    const { kernels, n, fractions: { epsilon } } = this.#state;
    const { f32, stride } = down;
    multiply(kernels, queryDown.matrix, x, n, f32, stride);
    kernels.rms_norm_f32(f32, stride, queryDown.norm, f32, stride, n, queryLength, epsilon);
    if (queriesReadQ8) quantize(kernels, down, n, queryLength);
    return down;
  }

  /** attention = Wvalues · mixed latents, of each own head. */
  makeValues({ index, mergedDim, latent }: Layer): void {
    const { valueUps } = latent!;
    const { space, plan: { strides } } = this.#state;
    const { mixed } = this.#inputs[index]!;
    for (let head = 0; head < valueUps.length; head++) {
      const out = space.attention + head * mergedDim * 4;
      this.#multiply(valueUps[head], mixed[head], out, strides.attention);
    }
  }

  #multiply(matrix: Matrix, x: Activations, out: number, outStride: number): void {
    const { kernels, n } = this.#state;
    if (readsQ8(matrix)) quantize(kernels, x, n, matrix.columnCount);
    multiply(kernels, matrix, x, n, out, outStride);
  }
}

/**
 * Behind a head's columns are the next one's, not zeros: kernels read whole blocks of 16, and no
 * width here is none (read_latent.ts).
 */
function inputsOf(space: LatentWorkspace, latent: LatentConfig, headCount: number): HeadInputs {
  const { q8 } = space;
  const byHead = (at: number, dim: number) =>
    Array.from({ length: headCount }, (_, head) => (
      { f32: at + head * dim * 4, stride: headCount * dim, q8 }
    ));
  return {
    latent,
    down: { f32: space.down, stride: queryStride(latent), q8 },
    plain: byHead(space.plain, latent.plainDim),
    mixed: byHead(space.mixed, latent.length),
  };
}
