/**
 * What the kernels learn of a step: one buffer. A header (how many tokens, where), a record for
 * each token (its id, where it is, cosines and sines for each rotary embedding), and tables: which
 * blocks of the caches are whose. A step writes the header and its records by one call, and of the
 * tables what has changed. Angles are made here, in f64: shaders' own sines are too coarse.
 */
import { check } from "../src/base/check.ts";
import { POSITION_AXES } from "../src/memory/control_layout.ts";
import { KV_BLOCK_POSITIONS } from "../src/memory/kv_layout.ts";
import { fillRopeTable, fillRopeTableByAxes, type RopeFrequencies } from "../src/model/mod.ts";
import type { Gpu } from "./device.ts";

/** A step, in numbers. */
export interface StepValues {
  /** New tokens. */
  readonly n: number;
  /** Position of the first one; where each is another sequence's, of the one furthest behind. */
  readonly position: number;
  /** How many of them, the last ones, are scored (get logits). */
  readonly m: number;
  /** Each token is another sequence's; left out: where there is one token. */
  readonly isApart?: boolean;
  /** They attend to each other both ways; left out: to those before them. */
  readonly seesAll?: boolean;
}

/** Whose each token of a step is, and where: [n] and more. */
export interface StepRows {
  readonly positions: Int32Array;
  readonly slots: Int32Array;
  /**
   * Place of the state that a sequence's first token goes on with, and of that which a token
   * leaves; below 0: none. Left out: nobody keeps states. Of an encoder 1 less than the first row
   * of the token's text, and than the one behind its last.
   */
  readonly states?: { readonly from: Int32Array; readonly to: Int32Array };
  /** Positions by axes, [n, POSITION_AXES]; left out: they are `positions`. */
  readonly axes?: Int32Array;
}

/** Words that records are written to, by both of their names. */
export interface RecordWords {
  readonly words: Uint32Array;
  readonly floats: Float32Array;
}

export interface StepInputOptions {
  readonly maxTokens: number;
  /** Their tables are written for every token; may be empty. */
  readonly ropes: readonly RopeFrequencies[];
  /** Sequences that have keys and values, and positions of each; left out: nobody asks for them. */
  readonly sequences?: number;
  readonly contextLength?: number;
}

/** Bytes before the records: a uniform and a storage binding lie in one buffer. */
export const HEADER_BYTES = 256;
/** Words of a record before its cosines: parts/sequences.wgsl. */
const RECORD_WORDS = 7;

/** What a record says of a token. */
interface TokenRecord {
  readonly id: number;
  readonly position: number;
  readonly slot: number;
  /** See `StepRows`. */
  readonly from: number;
  readonly to: number;
  /** Its positions by axes, from word `first` on; null: they are `position`. */
  readonly axes: Int32Array | null;
  readonly first: number;
}

/** Byte of the header's sequence number, which grows with every step. */
export const SEQUENCE_OFFSET = 12;

/** Word of the header that says whether tokens see each other, behind those of chains. */
const SEES_ALL_WORD = 10;

/** Of places of states. */
const NONE = -1;

/** Each token is another sequence's: those that are alone, too. */
export function isApart({ isApart, n }: StepValues): boolean {
  return isApart ?? n === 1;
}

/** Positions of the longest sequence, its new ones included. */
export function contextOf(step: StepValues): number {
  return step.position + (isApart(step) ? 1 : step.n);
}

export async function createStepInput(gpu: Gpu, options: StepInputOptions): Promise<StepInput> {
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST |
    GPUBufferUsage.COPY_SRC;
  const words = options.maxTokens * recordWords(options.ropes) + tableWords(options);
  const bytes = HEADER_BYTES + Math.max(256, 4 * words);
  return new StepInput(gpu, await gpu.createBuffer("step", bytes, usage), options);
}

export class StepInput {
  readonly buffer: GPUBuffer;
  readonly maxTokens: number;
  /** Sequences that can have a token each in a step, and the positions of each, by blocks. */
  readonly sequences: number;
  readonly contextLength: number;
  /** Words from one token's record to the next one's. */
  readonly recordWords: number;
  /** Word of a record where a rope's cosines begin, and how many dimensions it turns. */
  readonly ropes: readonly { readonly start: number; readonly dimensionCount: number }[];
  readonly #gpu: Gpu;
  readonly #frequencies: readonly RopeFrequencies[];
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #own: RecordWords;
  /** Word of `#words` where tables begin, [sequences, tableBlocks]; those that changed. */
  readonly #tables: number;
  readonly #tableBlocks: number;
  #changedFrom: number;
  #changedTo: number;
  #sequence = 0;
  /** The step that was written ahead; its `n` is 0 where none was. */
  readonly #ahead: { n: number; position: number; m: number };
  readonly #aheadRows: Required<StepRows>;

  constructor(gpu: Gpu, buffer: GPUBuffer, options: StepInputOptions) {
    const { maxTokens, ropes, sequences = 1, contextLength = 0 } = options;
    this.#gpu = gpu;
    this.buffer = buffer;
    this.maxTokens = maxTokens;
    this.sequences = sequences;
    this.#frequencies = ropes;
    let start = RECORD_WORDS;
    this.ropes = ropes.map(({ inverseFrequencies: { length } }) => {
      start += 2 * length;
      return { start: start - 2 * length, dimensionCount: 2 * length };
    });
    this.recordWords = recordWords(ropes);
    this.#tables = HEADER_BYTES / 4 + maxTokens * this.recordWords;
    this.#tableBlocks = blocksOf(contextLength);
    this.contextLength = this.#tableBlocks * KV_BLOCK_POSITIONS;
    this.#words = new Uint32Array(this.#tables + tableWords(options));
    this.#own = { words: this.#words, floats: new Float32Array(this.#words.buffer) };
    // Until somebody says otherwise, sequences have one piece each.
    for (let i = this.#tables; i < this.#words.length; i++) this.#words[i] = i - this.#tables;
    this.#changedFrom = this.#tables;
    this.#changedTo = this.#words.length;
    this.#ahead = { n: 0, position: 0, m: 0 };
    const most = Math.min(maxTokens, sequences);
    const numbers = () => new Int32Array(most);
    const states = { from: numbers(), to: numbers() };
    const axes = new Int32Array(most * POSITION_AXES);
    this.#aheadRows = { positions: numbers(), slots: numbers(), states, axes };
  }

  /** Its tables tell positions by axes apart. */
  get hasAxes(): boolean {
    return this.#frequencies.some(({ axisOf }) => axisOf !== undefined);
  }

  /** Of the step that was written last. */
  get sequence(): number {
    return this.#sequence;
  }

  get header(): GPUBufferBinding {
    return { buffer: this.buffer, offset: 0, size: HEADER_BYTES };
  }

  /** Records, and tables behind them. */
  get records(): GPUBufferBinding {
    return { buffer: this.buffer, offset: HEADER_BYTES };
  }

  /** Block `index` of a sequence is this one of the caches, from the next step on. */
  setBlock(slot: number, index: number, block: number): void {
    const at = this.#tables + slot * this.#tableBlocks + index;
    if (this.#words[at] === block) return;
    this.#words[at] = block;
    this.#changedFrom = Math.min(this.#changedFrom, at);
    this.#changedTo = Math.max(this.#changedTo, at + 1);
  }

  /**
   * Writes a step.
   * @param ids [n], or null where nobody looks for them.
   * @param rows null: one sequence, in slot 0.
   */
  write(step: StepValues, ids: ArrayLike<number> | null, rows: StepRows | null = null): void {
    const { n, m } = step;
    check(n >= 1 && n <= this.maxTokens, `a step of ${n} tokens, of at most ${this.maxTokens}`);
    check(m >= 0 && m <= n, `${m} of ${n} tokens cannot be scored`);
    check(!isApart(step) || n <= this.sequences, `${n} of ${this.sequences} sequences`);
    check(rows !== null || n === 1 || !isApart(step), "who is apart says where");
    if (ids !== null || rows === null || !this.#isAhead(step, rows)) this.#send(step, ids, rows);
    this.goOn();
  }

  /** A step that follows is there, by `StepChain`: only what has changed in tables is written. */
  goOn(): void {
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#ahead.n = 0;
    if (this.#changedFrom >= this.#changedTo) return;
    const changed = this.#changedTo - this.#changedFrom;
    const { queue } = this.#gpu.device;
    queue.writeBuffer(this.buffer, 4 * this.#changedFrom, this.#words, this.#changedFrom, changed);
    this.#changedFrom = this.#words.length;
    this.#changedTo = 0;
  }

  /**
   * Behind a step's last submission, while it is computed: writes the one that would follow if all
   * its tokens, of a sequence each, went on by one. `write` finds it there if it comes. States go
   * to and fro between two places.
   */
  writeAhead({ n, position, m }: StepValues, rows: StepRows): void {
    const { positions, slots, states } = this.#aheadRows;
    const { axes } = this.#aheadRows;
    for (let i = 0; i < n * POSITION_AXES; i++) {
      axes[i] = (rows.axes?.[i] ?? rows.positions[Math.floor(i / POSITION_AXES)]) + 1;
    }
    for (let t = 0; t < n; t++) {
      positions[t] = rows.positions[t] + 1;
      slots[t] = rows.slots[t];
      states.from[t] = rows.states?.to[t] ?? NONE;
      states.to[t] = rows.states?.from[t] ?? NONE;
    }
    this.#ahead.n = n;
    this.#ahead.position = position + 1;
    this.#ahead.m = m;
    this.#send(this.#ahead, null, this.#aheadRows);
  }

  /** The step, and where its tokens' keys and values go, are as they were written ahead. */
  #isAhead({ n, position, m, seesAll = false }: StepValues, rows: StepRows): boolean {
    const { positions, slots, states, axes = null } = rows;
    const { n: count, position: first, m: scored } = this.#ahead;
    if (n !== count || position !== first || m !== scored || seesAll) return false;
    const { states: { from, to }, axes: ahead } = this.#aheadRows;
    for (let i = 0; axes !== null && i < n * POSITION_AXES; i++) {
      if (axes[i] !== ahead[i]) return false;
    }
    for (let t = 0; t < n; t++) {
      if ((states?.from[t] ?? NONE) !== from[t] || (states?.to[t] ?? NONE) !== to[t]) return false;
      const slot = this.#aheadRows.slots[t];
      if (slots[t] !== slot || positions[t] !== this.#aheadRows.positions[t]) return false;
      const place = this.#words[HEADER_BYTES / 4 + t * this.recordWords + 2];
      if (place !== this.#placeOf(slot, positions[t])) return false;
    }
    return true;
  }

  /** Writes the header, with the number of the step that comes next, and its records. */
  #send(
    { n, position, m, seesAll = false }: StepValues,
    ids: ArrayLike<number> | null,
    rows: StepRows | null,
  ): void {
    this.#words[0] = n;
    this.#words[1] = position;
    this.#words[2] = m;
    this.#words[SEQUENCE_OFFSET / 4] = (this.#sequence + 1) >>> 0;
    this.#words[SEES_ALL_WORD] = seesAll ? 1 : 0;
    for (let t = 0; t < n; t++) {
      this.fillRecord(this.#own, HEADER_BYTES / 4 + t * this.recordWords, {
        id: ids === null ? 0 : ids[t],
        position: rows === null ? position + t : rows.positions[t],
        slot: rows === null ? 0 : rows.slots[t],
        from: rows?.states?.from[t] ?? NONE,
        to: rows?.states?.to[t] ?? NONE,
        axes: rows?.axes ?? null,
        first: t * POSITION_AXES,
      });
    }
    const words = HEADER_BYTES / 4 + n * this.recordWords;
    this.#gpu.device.queue.writeBuffer(this.buffer, 0, this.#words, 0, words);
  }

  /** Writes a token's record at word `record` of `to`. */
  fillRecord(
    { words, floats }: RecordWords,
    record: number,
    { id, position, slot, from, to, axes, first }: TokenRecord,
  ): void {
    words[record] = id;
    words[record + 1] = position;
    words[record + 2] = this.#placeOf(slot, position);
    words[record + 3] = this.#tables + slot * this.#tableBlocks - HEADER_BYTES / 4;
    words[record + 4] = slot;
    words[record + 5] = from + 1;
    words[record + 6] = to + 1;
    for (let rope = 0; rope < this.ropes.length; rope++) {
      const at = record + this.ropes[rope].start;
      const frequencies = this.#frequencies[rope];
      if (axes === null) fillRopeTable(frequencies, position, floats, at);
      else fillRopeTableByAxes(frequencies, axes, first, floats, at);
    }
  }

  /** Row of the caches for a position of a sequence. */
  #placeOf(slot: number, position: number): number {
    const at = this.#tables + slot * this.#tableBlocks + Math.floor(position / KV_BLOCK_POSITIONS);
    return this.#words[at] * KV_BLOCK_POSITIONS + position % KV_BLOCK_POSITIONS;
  }
}

/** What a record begins with, and all ropes' cosines and sines. */
function recordWords(ropes: readonly RopeFrequencies[]): number {
  return ropes.reduce(
    (words, { inverseFrequencies }) => words + 2 * inverseFrequencies.length,
    RECORD_WORDS,
  );
}

function blocksOf(positions: number): number {
  return Math.ceil(positions / KV_BLOCK_POSITIONS);
}

/** Of all tables. */
function tableWords({ sequences = 1, contextLength = 0 }: StepInputOptions): number {
  return sequences * blocksOf(contextLength);
}
