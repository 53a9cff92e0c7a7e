/**
 * Guesses by what a layer reads which neurons the next one will need, and asks the disk for them:
 * the residual stream changes little from layer to layer (NOTES.md). Of a mixture it guesses the
 * experts first. Right or wrong, the answer is the same: the next layer asks its own router and
 * predictors. All ranks do it or none.
 */
import { floats } from "../bound/arena_views.ts";
import type { Dense, Experts, Streamed } from "../bound/bound_blocks.ts";
import type { Layer } from "../bound/layer.ts";
import { project, readsQ8 } from "../bound/matrix.ts";
import type { Predictors } from "../neurons/predictors.ts";
import type { Residual } from "../step/residual.ts";
import { type Routes, Routing } from "../neurons/routing.ts";
import type { StepState } from "../step/step_state.ts";
import type { Streaming } from "./streaming.ts";

export class GuessAhead {
  readonly #state: StepState;
  readonly #by: {
    readonly residual: Residual;
    readonly predictors: Predictors;
    readonly streaming: Streaming;
  };
  /** Of the step's only token; null: the model has no experts. */
  readonly #routing: Routing | null;
  /** The same choice, where no bias is added to it, of logits as they are. */
  readonly #unbiased: Routing | null;
  readonly #routes: Routes;
  /** Router's logits by arena, [experts]. */
  readonly #logits: readonly Float32Array[];
  /** Blocks of a layer that a token uses: the experts that are guessed, or the only one. */
  readonly #blocks: (Dense | Streamed)[] = [];
  /** The layer that was guessed; null: none, in this layer's turn. */
  #next: Layer | null = null;
  /** How many these are, for a token. */
  readonly #count: number;

  /** memories: this rank's. */
  constructor(
    state: StepState,
    by: {
      residual: Residual;
      predictors: Predictors;
      streaming: Streaming;
      memories: readonly WebAssembly.Memory[];
    },
  ) {
    const { config: { experts }, plan } = state;
    this.#state = state;
    this.#by = by;
    this.#routing = experts && new Routing(experts, 1);
    this.#unbiased = experts && new Routing({ ...experts, gating: "softmaxOfChosen" }, 1);
    this.#count = experts?.usedCount ?? 1;
    this.#routes = {
      rows: new Uint32Array(this.#count),
      weights: new Float32Array(this.#count),
    };
    this.#logits = experts === null
      ? []
      : by.memories.map((memory, arena) =>
        floats(memory, plan.workspaces[arena].routing!.logits, experts.count)
      );
  }

  /**
   * Asks the next layer's predictors by what this one reads, in a step of one token, or of one each
   * of several sequences if there are no experts. What ranks exchange for this layer's own they
   * exchange for both; then `complete`.
   */
  ask({ index, arena }: Layer): void {
    const { predictors, residual, streaming } = this.#by;
    const { n } = this.#state;
    this.#next = null;
    if (n > 1 && this.#routing !== null) return;
    const next = streaming.predicted(index + 1);
    if (next === null || next.arena !== arena) return;
    const block = next.feedForward as Streamed | Experts;
    const { predictor } = block;
    if (predictor === null || !predictors.isTrusted(predictor)) return;
    this.#next = next;
    if (block.kind === "experts") this.#route(next, block);
    else this.#blocks[0] = block;
    const x = residual.read(null, readsQ8(predictor.first));
    for (let i = 0; i < this.#count; i++) {
      predictors.ask(this.#blocks[i].predictor!, x, this.#rows + i, n);
    }
  }

  /** After the ranks have met. */
  complete(): void {
    if (this.#next === null) return;
    this.#by.predictors.complete(this.#next.index, this.#rows, this.#rows);
  }

  /** Rows of what predictors exchange for the layer's own neurons; the next one's has as many. */
  get #rows(): number {
    return this.#count * this.#state.n;
  }

  /** Asks the disk for what was guessed, when the layer has asked for its own neurons. */
  readAhead(): void {
    const next = this.#next;
    if (next === null) return;
    const { predictors, streaming } = this.#by;
    for (let i = 0; i < this.#count; i++) {
      const each = this.#blocks[i];
      if (each.kind !== "streamed" || each.count === 0) continue;
      if (!streaming.neurons.lacks(each.unit)) continue;
      const { n, space: { fired } } = this.#state;
      for (let t = 0; t < n; t++) {
        const listed = predictors.list(each.predictor!, this.#rows + i + t, fired);
        streaming.neurons.readAhead(next.index, each.unit, listed);
      }
    }
    streaming.neurons.beginAhead();
  }

  /** Experts as the next layer would choose them of what this one reads. */
  #route(next: Layer, block: Experts): void {
    const { kernels, inputs, space, arena } = this.#state;
    const x = next.routesEarly
      ? inputs.residual
      : this.#by.residual.read(next.feedForwardNorm, readsQ8(block.router));
    project(kernels, block.router, x, 1, space.routing!.logits, block.router.rowCount);
    const routing = (block.choiceBias === null ? this.#unbiased : this.#routing)!;
    routing.route(this.#logits[arena], 1, block, this.#routes);
    for (let e = 0; e < block.experts.length; e++) {
      if (routing.starts[e + 1] > routing.starts[e]) {
        this.#blocks[routing.starts[e]] = block.experts[e];
      }
    }
  }
}
