/**
 * What is kept beside the residual stream from layer to layer: the embedding, which layers add once
 * more; or two states, of which passes through layers make one and the other in turns. Every rank
 * does all of it alike. Knows nothing of what layers compute.
 */
import { floats } from "../bound/arena_views.ts";
import type { Layer } from "../bound/layer.ts";
import type { VectorPlan } from "../plan/plan_types.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

export class KeptStreams {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #streamCount: number;
  /** What the second stream begins with, [d]; null: there is none. */
  readonly #second: Float32Array | null;

  /** memory: this rank's first arena. */
  constructor(
    state: StepState,
    by: { residual: Residual; memory: WebAssembly.Memory; second: VectorPlan | null },
  ) {
    this.#state = state;
    this.#residual = by.residual;
    this.#streamCount = state.config.keptStreams ?? 0;
    const { embeddingLength } = state.config;
    this.#second = by.second && floats(by.memory, by.second.offsetBytes, embeddingLength);
  }

  /** The first stream is the embedding; of two, layers begin with the sum. */
  start(): void {
    if (this.#streamCount === 0) return;
    const { views, arena, plan: { strides }, n } = this.#state;
    const { streams: { [arena]: streams }, residual } = views;
    streams[0].set(residual[arena]);
    if (this.#second === null) return;
    for (let t = 0; t < n; t++) streams[1].set(this.#second, t * strides.embedding);
    this.#takeSum();
  }

  /** At a layer's end: the embedding is added, or a pass is over. */
  end({ embeddingScale, passEnd, endNorm }: Layer): void {
    const { kernels, space, views, arena, plan, config: { embeddingLength: d }, n } = this.#state;
    const stride = plan.strides.embedding;
    if (embeddingScale !== null) {
      views.normed[arena].set(views.streams[arena][0]);
      kernels.scale_f32(space.normed, stride, n, d, embeddingScale);
      kernels.add_f32(space.residual, stride, space.normed, stride, n, d);
    }
    if (endNorm === null) return;
    this.#residual.normalize(space.residual, endNorm, space.residual, n);
    if (passEnd === null) return;
    views.streams[arena][passEnd].set(views.residual[arena]);
    this.#takeSum();
  }

  /** residual = the sum of both streams. */
  #takeSum(): void {
    const { kernels, space, views, arena, plan, config: { embeddingLength: d }, n } = this.#state;
    const stride = plan.strides.embedding;
    const second = space.streams + 4 * plan.chunkTokens * stride;
    views.residual[arena].set(views.streams[arena][0]);
    kernels.add_f32(space.residual, stride, second, stride, n, d);
  }
}
