/**
 * Experts of which a GPU has some neurons and threads the others: both sides must send a token to
 * the same ones, and a router's product that is summed up in another order may choose others. So
 * the GPU's thread chooses as all threads do, by the same kernels from the same bits of the stream,
 * and tells the GPU: no join, and no word from other ranks. Knows nothing of what experts compute.
 */
import { type Gpu, type Routes, writeRoutes } from "../../../gpu/mod.ts";
import { bindChooser, type Chooser } from "../bound/bound_blocks.ts";
import { bindNorm, type Norm } from "../bound/bound_norm.ts";
import { ExpertRoutes } from "../neurons/expert_routes.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

interface ChoosingLayer {
  readonly chooser: Chooser;
  /** Of what the router reads; null: the stream as it is. */
  readonly norm: Norm | null;
}

export class ChosenRoutes {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #gpu: Gpu;
  readonly #to: Routes;
  readonly #routes: ExpertRoutes;
  /** By layer; null: the GPU has nothing of its experts, or it has none. */
  readonly #layers: readonly (ChoosingLayer | null)[];
  readonly #choosesEarly: boolean;
  /** Of all tokens of a step, as `writeRoutes` has them, and those of 1, 2, … tokens. */
  readonly #words: Uint32Array;
  readonly #weights: Float32Array;
  readonly #ofTokens: readonly Uint32Array[];

  private constructor(state: StepState, by: ChosenRoutesInput & { readonly routes: Routes }) {
    const { plan: { layers, chunkTokens }, config: { experts, hasParallelBlocks } } = state;
    this.#state = state;
    this.#residual = by.residual;
    this.#gpu = by.gpu;
    this.#to = by.routes;
    this.#routes = new ExpertRoutes(state, by.memories, null);
    this.#choosesEarly = experts!.routerInput === "layerInput";
    this.#layers = layers.map(({ arena, feedForward, feedForwardNorm, attentionNorm }) => {
      if (feedForward?.kind !== "experts" || !feedForward.choosesInArena) return null;
      const norm = feedForwardNorm ?? (hasParallelBlocks ? attentionNorm : null);
      return { chooser: bindChooser(feedForward, by.memories[arena]), norm: bindNorm(norm) };
    });
    const { used } = by.routes;
    this.#words = new Uint32Array(2 * chunkTokens * used);
    this.#weights = new Float32Array(this.#words.buffer);
    this.#ofTokens = Array.from(
      { length: chunkTokens },
      (_, t) => this.#words.subarray(0, 2 * (t + 1) * used),
    );
  }

  /** Null: no layer shares experts with threads. */
  static of(state: StepState, by: ChosenRoutesInput): ChosenRoutes | null {
    const { routes } = by;
    const shares = state.plan.layers.some(({ feedForward }) =>
      feedForward?.kind === "experts" && feedForward.choosesInArena
    );
    return shares && routes !== null ? new ChosenRoutes(state, { ...by, routes }) : null;
  }

  /** Before attention, of models whose experts are chosen by what a layer reads. */
  chooseEarly(layer: number): void {
    const own = this.#layers[layer];
    if (own === null || !this.#choosesEarly) return;
    this.#routes.choose(own.chooser, this.#state.inputs.residual);
  }

  /** Before the layer's experts: chooses, where that was not done, and tells the GPU. */
  send(layer: number): void {
    const own = this.#layers[layer];
    if (own === null) return;
    const { chooser, norm } = own;
    if (!this.#choosesEarly) this.#routes.choose(chooser, this.#residual.read(norm, false));
    this.#routes.writeByToken(chooser, this.#words, this.#weights);
    writeRoutes(this.#gpu, this.#to, this.#ofTokens[this.#state.n - 1]);
  }
}

interface ChosenRoutesInput {
  readonly gpu: Gpu;
  /** Null: the GPU has no experts. */
  readonly routes: Routes | null;
  readonly residual: Residual;
  /** This rank's, one per arena. */
  readonly memories: readonly WebAssembly.Memory[];
}
