/**
 * What adapters add to products as tokens are computed: where their two matrices lie beside the one
 * that they change, and what a step has between them. A rank has the first of the two whole, or
 * those of its columns that it has of the changed matrix; and so its own rows of the second, or
 * all.
 */
import { alignUp } from "../../base/check.ts";
import type { AddedProduct, GgufTensor } from "../../gguf/types.ts";
import { FLOAT_ROW_PAD_WEIGHTS } from "../../memory/row_layout.ts";
import type { MatrixTensor } from "../../model/types.ts";
import type { MatrixPart } from "./plan_layer.ts";
import type { MatrixPlan } from "./matrix_types.ts";
import type { WorkspaceInput } from "./plan_workspace.ts";
import type { LastingTensor, StepTensor } from "./step_tensors.ts";

/** What one adapter adds to a matrix's products: factor · second · (first · x). */
export interface AddedPlan {
  /** Number of the adapter. */
  readonly adapter: number;
  readonly factor: number;
  /** [rank, own columns] and [own rows, rank]. */
  readonly first: MatrixPlan;
  readonly second: MatrixPlan;
}

/** How many adapters there are, and between their matrices the most numbers, padded. */
export interface AdaptersPlan {
  readonly count: number;
  readonly stride: number;
}

/** Of a step; offsets in an arena, all f32. */
export interface AddedWorkspace {
  /** How much of each adapter sequences have, [sequences, adapters]; the leader writes it. */
  readonly table: number;
  /** The same of the step's rows, [adapters, chunkTokens]. */
  readonly scales: number;
  /** Between two matrices, [ADDED_ROWS, stride], and behind them, [ADDED_ROWS, widest]. */
  readonly between: number;
  readonly product: number;
}

/** Rows of a step that are multiplied at a time: what is between stays near, and small. */
export const ADDED_ROWS = 16;

/** Adapters of these tensors; null: there are none. */
export function adaptersOf(tensors: ReadonlyMap<string, GgufTensor>): AdaptersPlan | null {
  let count = 0, most = 0;
  for (const { added = [] } of tensors.values()) {
    for (const { adapter, rank } of added) {
      count = Math.max(count, adapter + 1);
      most = Math.max(most, rank);
    }
  }
  return count === 0 ? null : { count, stride: alignUp(most, FLOAT_ROW_PAD_WEIGHTS) };
}

/** The tensors, and beside them those that adapters add, by names of their own. */
export function withAdded(
  tensors: ReadonlyMap<string, GgufTensor>,
): ReadonlyMap<string, GgufTensor> {
  const added = [...tensors.values()].flatMap((tensor) => addedTo(tensor));
  return added.length === 0
    ? tensors
    : new Map([...tensors, ...added.map((tensor) => [tensor.name, tensor] as const)]);
}

/** What adapters have for a tensor. */
export function addedTo({ added = [] }: GgufTensor): GgufTensor[] {
  return added.flatMap(({ left, right }) => [right, left]);
}

/** place: lays one of the two. */
export function placeAdded(
  added: readonly AddedProduct[],
  matrix: MatrixTensor,
  { rows, columns, picked }: Pick<MatrixPart, "rows" | "columns" | "picked">,
  place: (matrix: MatrixTensor, part: MatrixPart) => MatrixPlan,
): AddedPlan[] {
  const areColumns = columns !== undefined;
  return added.map(({ adapter, left, right, rank, scale: factor }) => ({
    ...{ adapter, factor },
    first: place(
      { tensor: right.name, rowStart: 0, rows: rank, columns: matrix.columns, bias: null },
      areColumns ? { columns, picked } : {},
    ),
    second: place(
      { ...matrix, tensor: left.name, columns: rank, bias: null },
      areColumns ? {} : { rows, picked },
    ),
  }));
}

/** Bytes of what a step has. */
export function addedBytes(
  { config, widths: { queries, keys, neurons }, adapters, chunkTokens, sequences = 1 }:
    WorkspaceInput,
) {
  if (!adapters) return {};
  const { count, stride } = adapters;
  const widest = Math.max(config.embeddingLength, queries, keys, neurons);
  return {
    "added.table": 4 * sequences * count,
    "added.scales": 4 * count * chunkTokens,
    "added.between": 4 * ADDED_ROWS * stride,
    "added.product": 4 * ADDED_ROWS * widest,
  };
}

export function addedWorkspace(
  adapters: AdaptersPlan | null | undefined,
  at: (name: StepTensor | LastingTensor) => number,
): AddedWorkspace | null {
  if (!adapters) return null;
  return {
    ...{ table: at("added.table"), scales: at("added.scales") },
    ...{ between: at("added.between"), product: at("added.product") },
  };
}
