/**
 * Groups of neighbouring keys that an indexer chooses, on one rank: what its queries score of every
 * whole group of the cache, the best of them, and attention over these and what is behind the last
 * one, put side by side head by head. Every rank with heads chooses for itself, and all choose the
 * same.
 */
import {
  POSITION_AXES,
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SLOT,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import type { GroupIndexerConfig } from "../../model/gated_types.ts";
import { fillRopeTableByAxes } from "../../model/rope.ts";
import { floats } from "../bound/arena_views.ts";
import type { GroupIndexerMatrices } from "../bound/bound_gated.ts";
import type { Layer } from "../bound/layer.ts";
import { type Activations, multiply } from "../bound/matrix.ts";
import { tableBlocks } from "../plan/kv_bytes.ts";
import { type GroupLayout, groupLayout, groupPositions, scoredGroups } from "../plan/plan_gated.ts";
import type { IndexerWorkspace } from "../plan/plan_indexer.ts";
import { rotateHeads } from "../step/head_rows.ts";
import type { StepState } from "../step/step_state.ts";

/** What a step leaves in one arena, as JavaScript sees it. */
interface Views {
  readonly rows: Float32Array;
  readonly scores: Float32Array;
  readonly products: Float32Array;
  readonly list: Uint32Array;
  /** Of one key/value head, as if it were alone in the cache. */
  readonly table: Uint32Array;
  /** [sequences, blocks of a sequence]. */
  readonly tables: Uint32Array;
}

/** What a layer keeps beside keys and values. */
interface Kept extends GroupLayout {
  readonly floats: Float32Array;
  readonly at: number;
}

export class GroupChooser {
  readonly #state: StepState;
  readonly #config: GroupIndexerConfig;
  /** Blocks of a sequence's table, and of keys side by side. */
  readonly #blocks: number;
  readonly #gathered: number;
  /** Of one group. */
  readonly #angles: Float32Array;
  readonly #squares = new Float64Array(1);
  /** Of one group's first position, by axes. */
  readonly #axes = new Int32Array(POSITION_AXES);
  /** By arena; by layer: null where it chooses none, or the rank has no heads. */
  readonly #views: readonly Views[];
  readonly #kept: readonly (Kept | null)[];

  /** memories: this rank's, one per arena. */
  constructor(state: StepState, memories: readonly WebAssembly.Memory[]) {
    const { config, plan } = state;
    this.#state = state;
    this.#config = config.groupIndexer!;
    this.#blocks = tableBlocks(plan.contextLength);
    this.#gathered = tableBlocks(groupPositions(config));
    this.#angles = new Float32Array(
      Math.max(0, ...config.ropes.map((rope) => rope.dimensionCount)),
    );
    this.#views = memories.map((memory, arena) => this.#viewsOf(memory, arena));
    this.#kept = plan.layers.map((layer, index) => {
      const layout = groupLayout(config, index);
      if (layout === null || layer.heads.start === layer.heads.end) return null;
      const at = layer.indexedKeysOffsetBytes;
      const all = floats(memories[layer.arena], at, plan.kvBlocks * layout.blockFloats);
      return { ...layout, floats: all, at };
    });
  }

  #viewsOf(memory: WebAssembly.Memory, arena: number): Views {
    const { plan: { workspaces, chunkTokens, sequences, contextLength }, config } = this.#state;
    const { indexer, tables } = workspaces[arena];
    const { key, scores, scratch, lists, table } = indexer!;
    const { headCount, headDim } = this.#config;
    const numbers = (at: number, length: number) => new Uint32Array(memory.buffer, at, length);
    return {
      rows: floats(memory, key, chunkTokens * headDim),
      scores: floats(memory, scores, scoredGroups(config, contextLength)),
      products: floats(memory, scratch, headCount * KV_BLOCK_POSITIONS),
      list: numbers(lists, groupPositions(config)),
      table: numbers(table + 4 * this.#gathered, this.#blocks),
      tables: numbers(tables, sequences * this.#blocks),
    };
  }

  /** x: what attention reads. */
  project({ query, key, queryWeight }: GroupIndexerMatrices, x: Activations): void {
    const { kernels, n, fractions: { epsilon } } = this.#state;
    const { headCount, headDim } = this.#config;
    const { query: toQuery, key: toKey } = this.#space;
    const width = headCount * headDim;
    multiply(kernels, query, x, n, toQuery, width);
    multiply(kernels, key, x, n, toKey, headDim);
    kernels.head_norm_f32(toQuery, width, n, headCount, headDim, queryWeight, 0, epsilon, 0);
  }

  /** Queries; keys are turned when their group is whole. */
  rotate({ rope }: Layer): void {
    const { headCount, headDim } = this.#config;
    if (rope !== null) rotateHeads(this.#state, rope, this.#space.query, headCount, headDim);
  }

  /** Keeps what keys are means of, and makes those of groups that end with a new token. */
  remember(layer: Layer): void {
    const kept = this.#kept[layer.index];
    if (kept === null) return;
    const { segments, segmentCount, arena, positions, ropeFrequencies } = this.#state;
    const { headDim } = this.#config;
    const { rows } = this.#views[arena];
    const hasAxes = ropeFrequencies[layer.rope ?? 0]?.axisOf !== undefined;
    let row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const first = segments[at + SEGMENT_POSITION], slot = segments[at + SEGMENT_SLOT];
      const end = first + segments[at + SEGMENT_ROWS];
      for (let position = first; position < end; position++, row++) {
        const block = this.#blockOf(slot, position) * kept.blockFloats;
        const to = block + (position % KV_BLOCK_POSITIONS) * kept.rowFloats, from = row * headDim;
        for (let i = 0; i < headDim; i++) kept.floats[to + i] = rows[from + i];
        for (let axis = 0; axis < POSITION_AXES; axis++) {
          const own = hasAxes ? positions[row * POSITION_AXES + axis] : position;
          kept.floats[to + headDim + axis] = own;
        }
        if ((position + 1) % kept.ratio === 0) this.#makeKey(layer, kept, block, position);
      }
    }
  }

  /** The key of the group that ends at a position, whose rows are in one block. */
  #makeKey(layer: Layer, kept: Kept, block: number, position: number): void {
    const { ratio, floats: all, keysAt, groups, rowFloats } = kept;
    const { headDim } = this.#config;
    const weights = layer.gated!.groupIndexer!.keyWeights, squares = this.#squares;
    const first = position + 1 - ratio;
    const from = block + (first % KV_BLOCK_POSITIONS) * rowFloats;
    const to = block + keysAt + Math.floor(first / ratio) % groups * headDim;
    squares[0] = 0;
    for (let i = 0; i < headDim; i++) {
      let sum = 0;
      for (let p = 0; p < ratio; p++) sum += all[from + p * rowFloats + i];
      all[to + i] = sum / ratio;
      squares[0] += all[to + i] * all[to + i];
    }
    const factor = 1 / Math.sqrt(squares[0] / headDim + this.#state.config.norm.epsilon);
    for (let i = 0; i < headDim; i++) all[to + i] *= factor * weights[i];
    for (let i = 0; i < POSITION_AXES; i++) this.#axes[i] = all[from + headDim + i];
    if (layer.rope !== null) this.#turn(all, to, layer.rope);
  }

  #turn(all: Float32Array, at: number, rope: number): void {
    const { dimensionCount, kind } = this.#state.config.ropes[rope];
    const half = dimensionCount / 2, angles = this.#angles;
    fillRopeTableByAxes(this.#state.ropeFrequencies[rope], this.#axes, 0, angles, 0);
    const isNeox = kind === "neox";
    for (let i = 0; i < half; i++) {
      const x = isNeox ? at + i : at + 2 * i, y = isNeox ? x + half : x + 1;
      const a = all[x], b = all[y];
      all[x] = a * angles[i] - b * angles[half + i];
      all[y] = a * angles[half + i] + b * angles[i];
    }
  }

  /** Attention of the tokens that have more whole groups before them than are chosen. */
  attend(layer: Layer): void {
    const kept = this.#kept[layer.index];
    if (kept === null) return;
    const { segments, segmentCount } = this.#state;
    let before = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const first = segments[at + SEGMENT_POSITION], rows = segments[at + SEGMENT_ROWS];
      const slot = segments[at + SEGMENT_SLOT];
      let position = Math.max(first, layer.seesAllBefore);
      for (; position < first + rows; position++) {
        const row = before + position - first;
        const count = this.#choose(kept, row, slot, position + 1);
        for (let kvHead = 0; kvHead < layer.kvHeadCount; kvHead++) {
          this.#gather(layer, kvHead, slot, position + 1, count);
          this.#attendToGathered(layer, row, kvHead, count);
        }
      }
      before += rows;
    }
  }

  /**
   * list = the positions that a token attends to, ascending.
   * @returns how many they are.
   */
  #choose(kept: Kept, row: number, slot: number, positions: number): number {
    const { kernels, arena } = this.#state;
    const { headCount, headDim, keyCount } = this.#config;
    const { scores, products, list } = this.#views[arena];
    const { query, scores: scoresAt, scratch, lists } = this.#space;
    const { ratio, groups, keysAt } = kept;
    const x = query + 4 * row * headCount * headDim, stride = 4 * headDim;
    const whole = Math.floor(positions / ratio);
    for (let first = 0; first < whole; first += groups) {
      const most = Math.min(groups, whole - first);
      const block = this.#blockOf(slot, first * ratio);
      const at = kept.at + 4 * (block * kept.blockFloats + keysAt);
      kernels.matmul_f32_f32(at, stride, most, headDim, x, headDim, headCount, scratch, most);
      for (let group = 0; group < most; group++) {
        let sum = 0;
        for (let head = 0; head < headCount; head++) {
          sum += Math.max(0, products[head * most + group]);
        }
        scores[first + group] = sum;
      }
    }
    const chosen = keyCount / ratio;
    kernels.choose_positions(scoresAt, whole, chosen, lists, scratch);
    // From the end on: a group's positions lie behind its number.
    for (let i = chosen - 1; i >= 0; i--) {
      const group = list[i];
      for (let p = ratio - 1; p >= 0; p--) list[i * ratio + p] = group * ratio + p;
    }
    let count = keyCount;
    for (let position = whole * ratio; position < positions; position++) list[count++] = position;
    return count;
  }

  /** One key/value head's, whose pieces of the cache are blocks of a cache with one head. */
  #gather(layer: Layer, kvHead: number, slot: number, positions: number, count: number): void {
    const { kernels, arena, plan: { kvType, kvBlocks } } = this.#state;
    const { table, tables } = this.#views[arena];
    const { kvHeadCount: heads } = layer;
    const blocks = tableBlocks(positions), first = slot * this.#blocks;
    for (let i = 0; i < blocks; i++) table[i] = tables[first + i] * heads + kvHead;
    const { lists, keys, values, table: toTable } = this.#space;
    const gather = kvType === "i16" ? kernels.gather_positions_i16 : kernels.gather_positions_f32;
    gather(
      layer.keys,
      layer.values,
      toTable + 4 * this.#gathered,
      kvBlocks * heads,
      lists,
      count,
      positions,
      layer.headDim,
      layer.valueDim,
      keys,
      values,
      toTable,
    );
  }

  /** As if these were all positions of a sequence, of which the token is the last. */
  #attendToGathered(layer: Layer, row: number, kvHead: number, count: number): void {
    const { kernels, space, plan, fractions } = this.#state;
    const { keys, values, table } = this.#space;
    const { headCount, headDim, valueDim, groupSize, headOffset } = layer;
    const kernel = plan.kvType === "i16" ? kernels.attention_i16 : kernels.attention_f32;
    const first = Math.max(0, kvHead * groupSize - headOffset);
    const end = Math.min(headCount, (kvHead + 1) * groupSize - headOffset);
    const stride = plan.strides.attention;
    kernel(
      space.query + (row * headCount + first) * headDim * 4,
      (end - first) * headDim,
      keys,
      values,
      1,
      table,
      this.#gathered,
      space.attention + (row * stride + first * valueDim) * 4,
      // What is behind these heads is cleared: the next ones write there afterwards.
      stride - first * valueDim,
      space.scratch,
      1,
      count - 1,
      end - first,
      headOffset + first - kvHead * groupSize,
      groupSize,
      headDim,
      valueDim,
      0,
      fractions.attentionScale,
      fractions.attentionSoftCap,
      0,
      0,
      0,
      0,
      0,
      count,
    );
  }

  #blockOf(slot: number, position: number): number {
    const { tables } = this.#views[this.#state.arena];
    return tables[slot * this.#blocks + Math.floor(position / KV_BLOCK_POSITIONS)];
  }

  get #space(): IndexerWorkspace {
    return this.#state.space.indexer!;
  }
}
