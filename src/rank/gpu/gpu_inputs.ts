/**
 * What tokens give layers beside the residual stream, on a GPU that has all of a model: made once a
 * step, for all layers, of the embeddings and of a table, and added at each layer's end. The table
 * stays in the file, and its rows come with the step; where the GPU chooses tokens itself it has
 * the table, too. Knows plans; nothing of attention and neurons.
 */
import {
  addRows,
  columnsFrom,
  embed,
  type Gpu,
  type GpuMatrix,
  headNorm,
  type ProgramBuilder,
  type Rows,
  weighRows,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { LayerPlan, MatrixPlan, RankPlan } from "../plan/plan_types.ts";
import type { TokenTable } from "../blocks/token_table.ts";
import { lengthOf } from "../plan/shard.ts";
import { isWeightType } from "../plan/weight_types.ts";
import type { GpuSpace } from "./gpu_space.ts";
import type { GpuLoader, Stacked } from "./gpu_weights.ts";
import { multiply } from "./layer_operations.ts";
import { addToStream, type Following } from "./stream_updates.ts";
import { type GpuNorm, loadNorm } from "./layer_weights.ts";

/** Of what all layers are given. */
export interface TokenInputs {
  /** [layers · length, d]. */
  readonly projection: Stacked;
  /** f32 [length]. */
  readonly norm: GPUBuffer;
}

/** Of what a layer makes of it. */
export interface LayerInputs {
  /** [length, d]. */
  readonly gate: Stacked;
  /** [d, length]. */
  readonly output: Stacked;
  readonly norm: GpuNorm;
}

interface InputsPlace {
  readonly config: ModelConfig;
  readonly space: GpuSpace;
}

/** Null: tokens give nothing. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function loadTokenInputs(
  loader: GpuLoader,
  { tokenInputs: plan }: RankPlan,
): Promise<TokenInputs | null> {
  return plan && {
    projection: await loader.stack([plan.projection]),
    norm: await loader.vector(plan.norm),
  };
}

/** All of the table, where there is one, as a matrix; null: it has a type that no matrix has. */
export function tablePlans(
  { tokenInputs, embedding }: RankPlan,
  tensors: ReadonlyMap<string, GgufTensor>,
): MatrixPlan[] | null {
  if (tokenInputs === null) return [];
  const { table: { tensor }, projection } = tokenInputs;
  const { type } = tensors.get(tensor)!;
  if (!isWeightType(type)) return null;
  const columns = { start: 0, end: lengthOf(projection.rows) };
  return [{ ...embedding, tensor, type, columns, bias: null }];
}

/** Rows of the table on their way to the GPU. */
export class SentRows {
  readonly #gpu: Gpu;
  readonly #table: TokenTable;
  readonly #to: Rows;
  readonly #values: Float32Array<ArrayBuffer>;

  constructor(gpu: Gpu, { table, to, tokens }: { table: TokenTable; to: Rows; tokens: number }) {
    this.#gpu = gpu;
    this.#table = table;
    this.#to = to;
    this.#values = new Float32Array(tokens * to.stride);
  }

  /**
   * Sends those of a step's n tokens.
   * @throws {ModelFormatError} when the file cannot be read any more, or was written to.
   */
  send(ids: Int32Array, n: number): void {
    const { stride, buffer, offsetBytes } = this.#to;
    const values = this.#values;
    const { scale } = this.#table;
    this.#table.requireUnchanged();
    for (let t = 0; t < n; t++) {
      const row = this.#table.rowOf(ids[t]);
      for (let i = 0, at = t * stride; i < row.length; i++, at++) values[at] = row[i] * scale;
    }
    this.#gpu.device.queue.writeBuffer(buffer, offsetBytes, values, 0, n * stride);
  }
}

/** Null: none. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function loadLayerInputs(
  by: { loader: GpuLoader; config: ModelConfig },
  { input: plan }: LayerPlan,
): Promise<LayerInputs | null> {
  return plan && {
    gate: await by.loader.stack([plan.gate]),
    output: await by.loader.stack([plan.output]),
    norm: await loadNorm(by, plan.norm),
  };
}

/**
 * inputs = norm(projection · embedding / √d) + √length · row, of which 1 / √2 is left to
 * `addLayerInput`.
 * @param table [vocab, layers · length]; null: the step's rows, times that root, were sent.
 */
export function addTokenInputs(
  builder: ProgramBuilder,
  { projection, norm: weight }: TokenInputs,
  { config, space: { residual, inputs, inputRows } }: InputsPlace,
  table: GpuMatrix | null,
): void {
  const { embeddingLength: d, layerInputLength: length, norm: { epsilon } } = config;
  const { rows: width } = projection.matrix;
  multiply(builder, projection, { x: residual, to: inputs, scale: 1 / Math.sqrt(d) });
  const heads = width / length;
  headNorm(builder, { kind: "rms", epsilon, weight, x: inputs, heads, width: length });
  if (table === null) addRows(builder, { x: inputRows, to: inputs, width });
  else embed(builder, { matrix: table, to: inputs, scale: Math.sqrt(length), accumulate: true });
}

/**
 * residual += norm(output · (act(gate · residual) ⊙ the layer's inputs)): these are used up.
 * @returns the next norm, where the same dispatch makes it.
 */
export function addLayerInput(
  builder: ProgramBuilder,
  inputs: LayerInputs,
  place: InputsPlace & { readonly index: number; readonly end: Following },
): Rows | null {
  const x = addGated(builder, inputs, place);
  return addToStream(builder, place, x, { by: inputs.norm, following: place.end });
}

/** @returns output · (act(gate · residual) ⊙ the layer's inputs): these are used up. */
export function addGated(
  builder: ProgramBuilder,
  { gate, output }: LayerInputs,
  { config, space, index }: InputsPlace & { readonly index: number },
): Rows {
  const { layerInputLength: length, feedForward: { activation } } = config;
  check(activation === "gelu", "obstacle.ts refuses other inputs of layers");
  const given = columnsFrom(space.inputs, index * length);
  multiply(builder, gate, { x: space.residual, to: space.neurons });
  weighRows(builder, {
    ...{ x: given, width: length, weights: space.neurons, columnsPerWeight: 1 },
    activation,
  });
  multiply(builder, output, { x: given, to: space.partial, scale: Math.SQRT1_2 });
  return space.partial;
}
