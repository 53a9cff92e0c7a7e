/**
 * Heads on one rank that share a key which is its value, too, and attend to a window of tokens and
 * to keys that several tokens make together. Those lie in the cache beside what they are made of;
 * for each token what it attends to is put side by side. Attention itself, where there are tokens'
 * own keys alone, is attention_block.ts.
 */
import { check } from "../../base/check.ts";
import {
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SLOT,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import type { CompressionConfig } from "../../model/types.ts";
import { floats } from "../bound/arena_views.ts";
import type { CompressedMatrices, Compressor } from "../bound/bound_compressed.ts";
import type { Layer } from "../bound/layer.ts";
import { type Activations, multiply, quantize, readsQ8 } from "../bound/matrix.ts";
import { tableBlocks } from "../plan/kv_bytes.ts";
import {
  compressedKeys,
  compressedStrides,
  gatheredBlocks,
  type KeptLayout,
  keptLayout,
  listLength,
  windowOf,
} from "../plan/plan_compressed.ts";
import type { IndexerWorkspace } from "../plan/plan_indexer.ts";
import type { Residual } from "../step/residual.ts";
import { tableOf } from "../step/head_rows.ts";
import type { StepState } from "../step/step_state.ts";
import { KeyCompressor } from "./key_compressor.ts";

/** What a step leaves in one arena, as JavaScript sees it. */
interface Views {
  readonly down: Activations;
  readonly merged: Activations;
  readonly mergedFloats: Float32Array;
  /** [n, rowFloats] of the layer, and [n, heads of the indexer]. */
  readonly rows: Float32Array;
  readonly weights: Float32Array;
  readonly scores: Float32Array;
  readonly products: Float32Array;
  readonly list: Uint32Array;
  readonly table: Uint32Array;
  /** [sequences, blocks of a sequence]. */
  readonly tables: Uint32Array;
}

/** A layer's cache beside keys. */
interface Kept extends KeptLayout {
  readonly floats: Float32Array;
  readonly at: number;
}

export class CompressedHeads {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #compression: CompressionConfig;
  readonly #compressor: KeyCompressor;
  readonly #window: number;
  /** Blocks of a sequence's table, and of keys side by side. */
  readonly #blocks: number;
  readonly #tableLength: number;
  /** By arena; by layer: null where nothing is compressed, or the rank has no heads. */
  readonly #views: readonly Views[];
  readonly #kept: readonly (Kept | null)[];

  /** memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: { readonly residual: Residual; readonly memories: readonly WebAssembly.Memory[] },
  ) {
    const { config, plan } = state;
    check(config.compression !== undefined, "a model of compressed keys");
    this.#state = state;
    this.#residual = by.residual;
    this.#compression = config.compression;
    this.#compressor = new KeyCompressor(config);
    this.#window = windowOf(config, plan.contextLength);
    this.#blocks = tableBlocks(plan.contextLength);
    this.#tableLength = gatheredBlocks(config, plan.contextLength);
    this.#views = by.memories.map((memory, arena) => this.#viewsOf(memory, arena));
    this.#kept = plan.layers.map((layer, index) => {
      const layout = keptLayout(config, index);
      if (layout === null || layer.heads.start === layer.heads.end) return null;
      const at = layer.indexedKeysOffsetBytes;
      const all = floats(by.memories[layer.arena], at, plan.kvBlocks * layout.blockFloats);
      return { ...layout, floats: all, at };
    });
  }

  #viewsOf(memory: WebAssembly.Memory, arena: number): Views {
    const { plan, config } = this.#state;
    const { workspaces, chunkTokens, sequences } = plan;
    const { compressed, indexer, tables } = workspaces[arena];
    const strides = compressedStrides(config);
    const { indexer: { headCount } } = this.#compression;
    const { scored } = compressedKeys(config, plan.contextLength);
    const rowFloats = config.layers.map((_, layer) => keptLayout(config, layer)?.rowFloats ?? 0);
    const { down, merged, q8 } = compressed!;
    const { key, weights, scores, scratch, lists, table } = indexer!;
    const numbers = (at: number, length: number) => new Uint32Array(memory.buffer, at, length);
    return {
      down: { f32: down, stride: strides.down, q8 },
      merged: { f32: merged, stride: strides.merged, q8 },
      mergedFloats: floats(memory, merged, chunkTokens * strides.merged),
      rows: floats(memory, key, chunkTokens * Math.max(...rowFloats)),
      weights: floats(memory, weights, chunkTokens * headCount),
      scores: floats(memory, scores, scored),
      products: floats(memory, scratch, headCount * 8),
      list: numbers(lists, listLength(config, plan.contextLength)),
      table: numbers(table, this.#tableLength),
      tables: numbers(tables, sequences * this.#blocks),
    };
  }

  /** query = W · norm(W · norm(residual)), key = W · norm(residual), and what keys are made of. */
  project(layer: Layer, matrices: CompressedMatrices): void {
    const { kernels, space, n, arena, fractions: { epsilon } } = this.#state;
    const { queryDown, queriesReadQ8, indexer, keys } = matrices;
    const { queryLength } = this.#compression;
    const x = this.#residual.read(layer.attentionNorm, matrices.readsQ8);
    multiply(kernels, layer.key, x, n, space.key, layer.headDim);
    const { down } = this.#views[arena];
    multiply(kernels, queryDown.matrix, x, n, down.f32, down.stride);
    const { f32, stride } = down;
    kernels.rms_norm_f32(f32, stride, queryDown.norm, f32, stride, n, queryLength, epsilon);
    if (queriesReadQ8) quantize(kernels, down, n, queryLength);
    multiply(kernels, layer.query, down, n, space.query, layer.query.rowCount);
    const kept = this.#kept[layer.index];
    if (kept === null || keys === null) return;
    this.#projectRows(keys, x, kept, 0);
    if (indexer === null) return;
    this.#projectRows(indexer.keys, x, kept, 2 * kept.width);
    const { query, weights } = this.#space;
    multiply(kernels, indexer.query, down, n, query, indexer.query.rowCount);
    multiply(kernels, indexer.weights, x, n, weights, indexer.weights.rowCount);
  }

  /** What is averaged, and behind it what weighs it, from column `first` of rows on. */
  #projectRows({ key, gate }: Compressor, x: Activations, kept: Kept, first: number): void {
    const { kernels, n } = this.#state;
    const to = this.#space.key + 4 * first;
    multiply(kernels, key, x, n, to, kept.rowFloats);
    multiply(kernels, gate, x, n, to + 4 * key.rowCount, kept.rowFloats);
  }

  /** Turns an indexer's queries. */
  rotate({ compressed, rope }: Layer): void {
    if (compressed!.indexer === null || rope === null) return;
    const { kernels, n, space: { ropes } } = this.#state;
    const { turnedDim, indexer: { headCount, headDim } } = this.#compression;
    const from = this.#space.query + 4 * (headDim - turnedDim);
    const stride = headCount * headDim;
    kernels.rope_f32(from, stride, n, headCount, headDim, turnedDim, ropes[rope], 0);
  }

  /** Keeps what new tokens give to keys, and makes those that end with one of them. */
  remember(layer: Layer, { keys, indexer }: CompressedMatrices): void {
    const kept = this.#kept[layer.index];
    if (kept === null || keys === null) return;
    const { segments, segmentCount, arena } = this.#state;
    const { rows } = this.#views[arena];
    const { rowFloats, ratio, width, indexedWidth, keysAt, indexedAt } = kept;
    let row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const first = segments[at + SEGMENT_POSITION], slot = segments[at + SEGMENT_SLOT];
      const end = first + segments[at + SEGMENT_ROWS];
      for (let position = first; position < end; position++, row++) {
        const from = row * rowFloats, to = this.#rowAt(kept, slot, position);
        const place = position % ratio;
        for (let i = 0; i < rowFloats; i++) kept.floats[to + i] = rows[from + i];
        addPlaces(kept.floats, to + width, keys, place * width);
        if (indexer !== null) {
          const gates = to + 2 * width + indexedWidth;
          addPlaces(kept.floats, gates, indexer.keys, place * indexedWidth);
        }
        if (place !== ratio - 1) continue;
        this.#listRows(kept, slot, position);
        const own = position + 1 - ratio, { index } = layer;
        const all = kept.floats, compressor = this.#compressor;
        const key = this.#keyAt(kept, slot, position, keysAt, layer.headDim);
        compressor.make(keys, index, all, own, 0, width, key);
        if (indexer === null) continue;
        const scored = this.#keyAt(kept, slot, position, indexedAt, indexer.keys.norm.length);
        compressor.make(indexer.keys, index, all, own, 2 * width, indexedWidth, scored);
      }
    }
  }

  /** The rows that a key which ends at a position is made of, in the order of tokens. */
  #listRows(kept: Kept, slot: number, position: number): void {
    const { ratio } = kept;
    const own = position + 1 - ratio;
    const before = ratio === 4 ? Math.max(0, own - ratio) : own;
    this.#compressor.begin(own - before);
    for (let p = before; p <= position; p++) this.#compressor.list(this.#rowAt(kept, slot, p));
  }

  /** attention, of tokens one by one: of windows, and of compressed keys. */
  attend(layer: Layer, { indexer }: CompressedMatrices): void {
    const kept = this.#kept[layer.index]!;
    const { segments, segmentCount } = this.#state;
    let row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const first = segments[at + SEGMENT_POSITION], slot = segments[at + SEGMENT_SLOT];
      const end = first + segments[at + SEGMENT_ROWS];
      for (let position = first; position < end; position++, row++) {
        const near = this.#gatherWindow(layer, slot, position);
        const count = Math.floor((position + 1) / kept.ratio);
        const { keyCount } = this.#compression.indexer;
        const isChosen = indexer !== null && count > keyCount;
        if (isChosen) this.#choose(kept, row, slot, count);
        const more = isChosen ? keyCount : count;
        this.#gatherKeys(kept, layer.headDim, slot, near, more, isChosen);
        this.#attendToGathered(layer, row, near + more);
      }
    }
  }

  /** @returns how many tokens' own keys are the first ones side by side. */
  #gatherWindow(layer: Layer, slot: number, position: number): number {
    const { kernels, arena, plan: { kvType, kvBlocks } } = this.#state;
    const { list, table } = this.#views[arena];
    const count = Math.min(this.#window, position + 1);
    for (let i = 0; i < count; i++) list[i] = position + 1 - count + i;
    const { lists, keys, values, table: toTable } = this.#space;
    const gather = kvType === "i16" ? kernels.gather_positions_i16 : kernels.gather_positions_f32;
    gather(
      layer.keys,
      layer.values,
      tableOf(this.#state, slot),
      kvBlocks,
      lists,
      count,
      position + 1,
      layer.headDim,
      layer.valueDim,
      keys,
      values,
      toTable,
    );
    for (let i = 0; i < table.length; i++) table[i] = i;
    return count;
  }

  /** list = the numbers of the compressed keys that a token chooses, of so many. */
  #choose(kept: Kept, row: number, slot: number, count: number): void {
    const { kernels, arena } = this.#state;
    const { headCount, headDim, keyCount } = this.#compression.indexer;
    const { scores, weights, products } = this.#views[arena];
    const { query, scores: scoresAt, scratch, lists } = this.#space;
    const x = query + 4 * row * headCount * headDim, stride = 4 * headDim;
    for (let first = 0; first < count; first += kept.keys) {
      const most = Math.min(kept.keys, count - first);
      const last = (first + 1) * kept.ratio - 1;
      const at = kept.at + 4 * this.#keyAt(kept, slot, last, kept.indexedAt, headDim);
      kernels.matmul_f32_f32(at, stride, most, headDim, x, headDim, headCount, scratch, most);
      for (let key = 0; key < most; key++) {
        let sum = 0;
        for (let head = 0; head < headCount; head++) {
          sum += weights[row * headCount + head] * Math.max(0, products[head * most + key]);
        }
        scores[first + key] = sum;
      }
    }
    kernels.choose_positions(scoresAt, count, keyCount, lists, scratch);
  }

  /** Puts compressed keys behind those of the window. */
  #gatherKeys(
    kept: Kept,
    headDim: number,
    slot: number,
    near: number,
    more: number,
    isChosen: boolean,
  ): void {
    const { list } = this.#views[this.#state.arena];
    for (let i = 0; i < more;) {
      const key = isChosen ? list[i] : i;
      // Neighbours of a block lie side by side.
      const count = isChosen ? 1 : Math.min(kept.keys - key % kept.keys, more - i);
      const last = (key + 1) * kept.ratio - 1;
      const at = this.#keyAt(kept, slot, last, kept.keysAt, headDim);
      this.#store(kept.at + 4 * at, headDim, near + i, count);
      i += count;
    }
  }

  /** As keys and values `first` and so on of those side by side. */
  #store(from: number, headDim: number, first: number, count: number): void {
    const { kernels, plan: { kvType } } = this.#state;
    const { keys, values, table } = this.#space;
    const blocks = this.#tableLength, isInteger = kvType === "i16";
    const storeKeys = isInteger ? kernels.store_keys_i16 : kernels.store_keys_f32;
    const storeValues = isInteger ? kernels.store_values_i16 : kernels.store_values_f32;
    storeKeys(from, headDim, keys, table, blocks, first, count, 1, headDim);
    storeValues(from, headDim, values, table, blocks, first, count, 1, headDim);
  }

  /** As if these were all positions of a sequence, of which the token is the last. */
  #attendToGathered(layer: Layer, row: number, count: number): void {
    const { kernels, space, plan, fractions } = this.#state;
    const { keys, values, table } = this.#space;
    const { headCount, headDim, valueDim, headOffset, groupSize, sinks } = layer;
    const kernel = plan.kvType === "i16" ? kernels.attention_i16 : kernels.attention_f32;
    const width = headCount * headDim;
    const stride = plan.strides.attention;
    kernel(
      space.query + row * width * 4,
      width,
      keys,
      values,
      1,
      table,
      this.#tableLength,
      space.attention + row * stride * 4,
      stride,
      space.scratch,
      1,
      count - 1,
      headCount,
      headOffset,
      groupSize,
      headDim,
      valueDim,
      0,
      fractions.attentionScale,
      fractions.attentionSoftCap,
      sinks,
      0,
      0,
      0,
      0,
      count,
    );
  }

  /** partial += W · what groups make of their heads' outcomes, turned back. */
  merge(layer: Layer, { groups }: CompressedMatrices): void {
    const { kernels, n, arena, plan: { strides }, space, inputs } = this.#state;
    const { headCount, headDim, backRope } = layer;
    const { turnedDim, groupLength } = this.#compression;
    const from = space.attention + 4 * (headDim - turnedDim);
    const angles = space.ropes[backRope!];
    kernels.rope_f32(from, strides.attention, n, headCount, headDim, turnedDim, angles, 0);
    const { merged, mergedFloats } = this.#views[arena];
    mergedFloats.fill(0, 0, n * merged.stride);
    for (let group = 0; group < groups.length; group++) {
      const matrix = groups[group];
      const f32 = inputs.attention.f32 + 4 * group * matrix.columnCount;
      this.#heads.f32 = f32;
      this.#heads.stride = inputs.attention.stride;
      this.#heads.q8 = inputs.attention.q8;
      if (readsQ8(matrix)) quantize(kernels, this.#heads, n, matrix.columnCount);
      const to = merged.f32 + 4 * group * groupLength;
      multiply(kernels, matrix, this.#heads, n, to, merged.stride);
    }
    this.#residual.add(layer.attentionOutput, merged);
  }

  /** One group's heads, as a product reads them. */
  readonly #heads: { f32: number; stride: number; q8: number } = { f32: 0, stride: 0, q8: 0 };

  /** Where a position's row begins. */
  #rowAt({ blockFloats, rowFloats }: Kept, slot: number, position: number): number {
    const row = position % KV_BLOCK_POSITIONS;
    return this.#blockOf(slot, position) * blockFloats + row * rowFloats;
  }

  /** The same of the key that ends there, among those from `first` on. */
  #keyAt(
    { blockFloats, keys, ratio }: Kept,
    slot: number,
    position: number,
    first: number,
    headDim: number,
  ): number {
    const key = Math.floor(position / ratio) % keys;
    return this.#blockOf(slot, position) * blockFloats + first + key * headDim;
  }

  #blockOf(slot: number, position: number): number {
    const { tables } = this.#views[this.#state.arena];
    return tables[slot * this.#blocks + Math.floor(position / KV_BLOCK_POSITIONS)];
  }

  get #space(): IndexerWorkspace {
    return this.#state.space.indexer!;
  }
}

/** Gates += what a token's place among those of a key adds. */
function addPlaces(floats: Float32Array, at: number, { places, key }: Compressor, from: number) {
  for (let i = 0; i < key.rowCount; i++) floats[at + i] += places[from + i];
}
