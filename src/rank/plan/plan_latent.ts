/**
 * A rank's share of latent attention: what makes its query heads, and all of what makes the one
 * key/value head that all heads read, whose turned part comes first. Knows shards and tensors.
 */
import { rowsOfHeads } from "./picked.ts";
import { alignUp, check } from "../../base/check.ts";
import { SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import { headMatrices } from "../../model/head_matrices.ts";
import { latentsOf, ownKeyDim } from "../../model/latent.ts";
import { N } from "../../shapes/mod.ts";
import type { StepGraphInput } from "./step_graph.ts";
import type { HeadRows, LatentConfig, LayerTensors, ModelConfig } from "../../model/types.ts";
import { type IndexerPlan, planIndexer } from "./plan_indexer.ts";
import type { Placer } from "./plan_layer.ts";
import type { LayerPlan, MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { StepTensor } from "./step_tensors.ts";
import type { Range } from "./shard.ts";

/** Weights of latent attention beside the turned part of queries and the shared head. */
export interface LatentPlan {
  /** Makes what queries are made of, [queryLength, d], whole on every rank, and its norm. */
  readonly queryDown: { readonly matrix: MatrixPlan; readonly norm: VectorPlan } | null;
  /** The plain part of own queries, [own heads · plainDim, d or queryLength]. */
  readonly plainQuery: MatrixPlan;
  /** The latent's norm, [length], and the turned part's, [turnedDim], or null. */
  readonly norm: VectorPlan;
  readonly turnedNorm: VectorPlan | null;
  /**
   * [own heads · length, plainDim] by rows; or, where the file has it so, [plainDim, length] a head
   * neuron by neuron.
   */
  readonly keyUp: MatrixPlan;
  /** [own heads · valueDim, length]. */
  readonly valueUp: MatrixPlan;
  /** Null: the layer chooses no keys. */
  readonly indexer: IndexerPlan | null;
}

/** Where a step's intermediates of latent attention are, f32 unless said. */
export interface LatentWorkspace {
  /** What queries are made of, [n, queryStride]. */
  readonly down: number;
  /** Plain parts of queries, [n, own heads · plainDim]. */
  readonly plain: number;
  /** Latents that attention has mixed, [n, own heads · length]. */
  readonly mixed: number;
  /** One of these at a time as q8 tiles. */
  readonly q8: number;
}

export function latentWorkspace(at: (name: StepTensor) => number): LatentWorkspace {
  return {
    down: at("latent.down"),
    plain: at("latent.plain"),
    mixed: at("latent.mixed"),
    q8: at("latent.q8"),
  };
}

/** What intermediates take, by the new tokens N; of each what takes the most in some layer. */
export function latentBytes(
  config: ModelConfig,
  { heads, chunkTokens, sizes }: {
    readonly heads: number;
    readonly chunkTokens: number;
    readonly sizes: { q8_bytes(n: number, k: number): number };
  },
): StepGraphInput["bytes"] {
  const all = latentsOf(config);
  if (all.length === 0) return {};
  const most = (of: (latent: LatentConfig) => number) => Math.max(...all.map(of));
  const tile = most(({ length, plainDim, queryLength }) => Math.max(length, plainDim, queryLength));
  return {
    "latent.down": N.times(4 * most(queryStride)),
    "latent.plain": N.times(4 * heads * most(({ plainDim }) => plainDim)),
    "latent.mixed": N.times(4 * heads * most(({ length }) => length)),
    "latent.q8": sizes.q8_bytes(chunkTokens, tile),
  };
}

/** Elements from one token to the next of what queries are made of. */
export function queryStride({ queryLength }: LatentConfig): number {
  return alignUp(queryLength, SUPERBLOCK_WEIGHTS);
}

/** The key matrix has rows of the turned part, then the latent's; there is no value matrix. */
export function planLatentHeads(
  place: Placer,
  tensors: LayerTensors,
  { config, heads }: { config: ModelConfig; heads: Range },
): Pick<LayerPlan, "query" | "key" | "value"> & { latent: LatentPlan } {
  const { latent: shape } = config;
  const { latent } = tensors;
  const { query, key, value } = headMatrices(tensors);
  check(shape !== null && latent !== null, "the model has latents");
  const { length, turnedDim, plainDim } = shape;
  const step = ownKeyDim(shape);
  const queryRows = (start: number, count: number) =>
    rowsOfHeads({ matrix: query, step, start, count }, heads);
  const isEmpty = heads.start === heads.end;
  const { queryDown } = latent;
  return {
    query: place.matrix(query, queryRows(plainDim, turnedDim)),
    key: place.matrix(key, {
      rows: { start: 0, end: isEmpty ? 0 : length + turnedDim },
      picked: isEmpty
        ? []
        : [{ start: length, end: length + turnedDim }, { start: 0, end: length }],
    }),
    value: place.matrix(value, { rows: { start: 0, end: 0 } }),
    latent: {
      queryDown: queryDown && {
        matrix: place.matrix(queryDown.matrix, isEmpty ? { rows: { start: 0, end: 0 } } : {}),
        norm: place.vector(queryDown.norm),
      },
      plainQuery: place.matrix(query, queryRows(0, plainDim)),
      norm: place.vector(latent.norm),
      turnedNorm: latent.turnedNorm ? place.vector(latent.turnedNorm) : null,
      keyUp: latent.isKeyUpTransposed
        ? transposed(place, latent.keyUp, heads)
        : place.matrix(latent.keyUp.matrix, rowsOfHeads(latent.keyUp, heads)),
      valueUp: place.matrix(latent.valueUp.matrix, {
        ...rowsOfHeads(latent.valueUp, heads),
        readsByRows: true,
      }),
      indexer: latent.indexer ? planIndexer(place, latent.indexer, isEmpty) : null,
    },
  };
}

/**
 * Its rows are what a neuron gives to all outputs. Quantised ones become floats: products with them
 * would depend on how many tokens there are.
 */
function transposed(place: Placer, keyUp: HeadRows, heads: Range): MatrixPlan {
  const { matrix } = keyUp;
  const { rows: columns, picked } = rowsOfHeads(keyUp, heads);
  return place.matrix({ ...matrix, rows: matrix.columns, columns: matrix.rows }, {
    columns,
    picked,
    isTransposed: true,
    isFloat: true,
  });
}
