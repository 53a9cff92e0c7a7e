/**
 * Shows what a rank's neurons do: copies it from the workspace into the engine's observation while
 * a step runs (src/memory/observation.ts). Exists only in engines that are observed; changes
 * nothing of what is computed.
 */
import { type LayerViews, layerViews, type Observation } from "../../memory/observation.ts";
import { floats } from "../bound/arena_views.ts";
import type { Dense } from "../bound/bound_blocks.ts";
import type { Activations } from "../bound/matrix.ts";
import { largestBlock } from "../plan/plan_workspace.ts";
import type { StepState } from "./step_state.ts";

/** A workspace's planes as JavaScript sees them. */
interface SpaceViews {
  /** [chunkTokens, strides.embedding]. */
  readonly residual: Float32Array;
  /** [chunkTokens, own neurons], packed by the width of what was computed last. */
  readonly gate: Float32Array;
  readonly up: Float32Array;
  /** [chunkTokens, hiddenStride]. */
  readonly hidden: Float32Array;
}

export class Observer {
  readonly #state: StepState;
  readonly #observation: Observation;
  readonly #spaces: readonly SpaceViews[];
  #views: LayerViews;

  /** memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: { observation: Observation; memories: readonly WebAssembly.Memory[] },
  ) {
    const { plan: { workspaces, strides, chunkTokens, shard } } = state;
    const widest = largestBlock(shard);
    this.#state = state;
    this.#observation = by.observation;
    this.#views = layerViews(by.observation, 0, 0);
    this.#spaces = workspaces.map((space, arena) => {
      const view = (at: number, perToken: number) =>
        floats(by.memories[arena], at, chunkTokens * perToken);
      return {
        residual: view(space.residual, strides.embedding),
        gate: view(space.gate, widest),
        up: view(space.up, widest),
        hidden: view(space.hidden, strides.hidden),
      };
    });
  }

  /** A layer's feed-forward block is about to read the residual stream. */
  enterBlock(layer: number): void {
    const { n, arena, config: { embeddingLength: d }, plan } = this.#state;
    this.#views = layerViews(this.#observation, layer, n);
    const { residual } = this.#views;
    if (plan.rankIndex === 0 && residual.length > 0) {
      const stride = plan.strides.embedding;
      const from = this.#spaces[arena].residual;
      for (let t = 0; t < n; t++) residual.set(from.subarray(t * stride, t * stride + d), t * d);
    }
  }

  /** The workspace holds what the dense block's neurons gave. */
  seeDense(block: Dense, hidden: Activations): void {
    this.#see(block, hidden, { first: this.#state.plan.shard.neurons.start, tokens: null });
  }

  /**
   * The same of expert `index`; tokens: those of the step that chose it. Every rank that has some
   * of the expert's neurons says who chose it, and all say the same.
   */
  seeExpert(
    block: Dense,
    hidden: Activations,
    { index, tokens }: { index: number; tokens: Uint32Array },
  ): void {
    const { config: { experts }, plan: { shard: { expertNeurons } } } = this.#state;
    const { chosen } = this.#views;
    if (chosen.length > 0) {
      for (let j = 0; j < tokens.length; j++) chosen[tokens[j] * experts!.count + index] = 1;
    }
    const own = expertNeurons[index % expertNeurons.length];
    this.#see(block, hidden, { first: this.#firstOf(index) + own.start, tokens });
  }

  /** The same of the expert that all tokens use. */
  seeShared(block: Dense, hidden: Activations): void {
    const { config: { experts }, plan: { shard } } = this.#state;
    const first = this.#firstOf(experts?.count ?? 0) + shard.sharedNeurons.start;
    this.#see(block, hidden, { first, tokens: null });
  }

  #firstOf(expert: number): number {
    return expert * (this.#state.config.experts?.feedForwardLength ?? 0);
  }

  /** tokens: of the step, those computed, in order; null: all of them. */
  #see(
    block: Dense,
    hidden: Activations,
    { first, tokens }: { first: number; tokens: Uint32Array | null },
  ): void {
    const { n, arena } = this.#state;
    const { fired, gate } = this.#views;
    const { neuronCount } = this.#observation.plan;
    const width = block.up.rowCount;
    const space = this.#spaces[arena];
    const inputs = block.gate === null ? space.up : space.gate;
    const count = tokens === null ? n : tokens.length;
    for (let j = 0; j < count; j++) {
      const to = (tokens === null ? j : tokens[j]) * neuronCount + first;
      if (fired.length > 0) {
        const from = j * hidden.stride;
        for (let i = 0; i < width; i++) fired[to + i] = space.hidden[from + i] === 0 ? 0 : 1;
      }
      if (gate.length > 0) gate.set(inputs.subarray(j * width, (j + 1) * width), to);
    }
  }
}
