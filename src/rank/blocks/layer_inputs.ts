/**
 * What tokens give layers beside the residual stream, on one rank: it makes the inputs of some
 * layers of what a table and a projection say, and takes over the others' where layers read them.
 * The table stays in the file: a token needs one row of it. Knows nothing of other blocks.
 */
import { check } from "../../base/check.ts";
import type { Control } from "../../memory/control.ts";
import { floats } from "../bound/arena_views.ts";
import type { Layer, LayerInput } from "../bound/layer.ts";
import { type Matrix, matrixOf, project, readsQ8 } from "../bound/matrix.ts";
import { aloneKernel } from "../neurons/neurons.ts";
import type { TokenInputsPlan } from "../plan/plan_inputs.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import type { Residual } from "../step/residual.ts";
import { lengthOf } from "../plan/shard.ts";
import type { StepState } from "../step/step_state.ts";
import { type TokenRows, TokenTable } from "./token_table.ts";

/** Where a rank left what tokens give some layers. */
interface Made {
  readonly firstLayer: number;
  readonly endLayer: number;
  /** [tokens, width]. */
  readonly values: Float32Array;
  readonly width: number;
}

export class LayerInputs {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #plan: TokenInputsPlan;
  readonly #table: TokenTable;
  readonly #stepIds: Int32Array;
  readonly #projection: Matrix;
  /** By rank. */
  readonly #made: readonly Made[];
  /** By arena, [tokens, hiddenStride]. */
  readonly #hidden: readonly Float32Array[];
  /** Boxed once, as `Fractions` are. */
  readonly #scale: { value: number | null } = { value: null };

  /** memories: [rank][arena]. */
  constructor(
    state: StepState,
    by: {
      residual: Residual;
      control: Control;
      plans: readonly RankPlan[];
      memories: readonly (readonly WebAssembly.Memory[])[];
      rows: TokenRows;
    },
  ) {
    const { plan, config } = state;
    check(plan.tokenInputs !== null, "tokens give layers something");
    this.#state = state;
    this.#residual = by.residual;
    this.#plan = plan.tokenInputs;
    this.#table = new TokenTable(by.rows, plan.tokenInputs);
    this.#stepIds = by.control.stepIds();
    this.#projection = matrixOf(plan.tokenInputs.projection);
    this.#made = by.plans.map(({ tokenInputs, workspaces, chunkTokens }, rank) => {
      const { layers, length } = tokenInputs!;
      const width = lengthOf(layers) * length;
      return {
        firstLayer: layers.start,
        endLayer: layers.end,
        values: floats(by.memories[rank][0], workspaces[0].tokenInputs, chunkTokens * width),
        width,
      };
    });
    this.#hidden = plan.workspaces.map(({ hidden }, arena) => {
      const memory = by.memories[plan.rankIndex][arena];
      return floats(memory, hidden, plan.chunkTokens * plan.strides.hidden);
    });
    this.#scale.value = 1 / Math.sqrt(config.embeddingLength);
  }

  /**
   * Makes what the step's tokens give own layers: of the embeddings, while the residual stream is
   * nothing else. All ranks have it before the first layer ends.
   * @throws {ModelFormatError} when the file cannot be read any more, or was written to.
   */
  make(): void {
    const { kernels, plan, space, fractions: { epsilon }, n } = this.#state;
    const { layers, length, norm } = this.#plan;
    const width = lengthOf(layers) * length;
    if (width === 0) return;
    const x = this.#residual.read(null, readsQ8(this.#projection));
    const to = space.tokenInputs;
    project(kernels, this.#projection, x, n, to, width);
    kernels.scale_f32(to, width, n, width, this.#scale.value!);
    const heads = lengthOf(layers);
    kernels.head_norm_f32(to, width, n, heads, length, norm.offsetBytes, 0, epsilon, 0);
    this.#table.requireUnchanged();
    const { values } = this.#made[plan.rankIndex];
    for (let t = 0; t < n; t++) this.#addRow(values, t, width);
  }

  /** (made + √length · the token's part of the table) / √2. */
  #addRow(made: Float32Array, t: number, width: number): void {
    const id = this.#stepIds[t];
    check(id < this.#state.config.vocabSize, "a token id was checked at the door");
    const values = this.#table.rowOf(id);
    const { scale } = this.#table;
    for (let i = 0, at = t * width; i < width; i++, at++) {
      made[at] = (made[at] + values[i] * scale) * Math.SQRT1_2;
    }
  }

  /** partial += output · (act(gate · residual) ⊙ what the token gives). */
  add({ index, arena }: Layer, input: LayerInput): void {
    const { kernels, space, inputs: { hidden }, config, n } = this.#state;
    const { gate } = input;
    const width = gate.rowCount;
    if (width > 0) {
      const x = this.#residual.read(null, readsQ8(gate));
      project(kernels, gate, x, n, space.up, width);
      const activate = aloneKernel(kernels, config.feedForward.activation);
      activate(space.up, width, hidden.f32, hidden.stride, n, width);
      this.#multiply(index, this.#hidden[arena], hidden.stride);
    }
    this.#residual.add(input.output, hidden);
  }

  /** hidden ⊙= own numbers of what tokens give a layer. */
  #multiply(layer: number, hidden: Float32Array, stride: number): void {
    const { length, numbers } = this.#plan;
    const count = lengthOf(numbers);
    let rank = 0;
    while (layer >= this.#made[rank].endLayer) rank++;
    const { values, width, firstLayer } = this.#made[rank];
    const first = (layer - firstLayer) * length + numbers.start;
    for (let t = 0; t < this.#state.n; t++) {
      const from = t * width + first, to = t * stride;
      for (let i = 0; i < count; i++) hidden[to + i] *= values[from + i];
    }
  }
}
