/**
 * A step as a GPU is told of it: how many tokens, whose they are and where, which blocks of the
 * caches are whose, and where states are. Either all are one sequence's, or each is another one's;
 * of an encoder they are whole texts.
 */
import type { StepInput, StepRows, StepValues } from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import {
  POSITION_AXES,
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SEES_ALL,
  SEGMENT_SLOT,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import { tableBlocks } from "../plan/kv_bytes.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import type { StepState } from "../step/step_state.ts";

/** The most tokens of a step that are a sequence's each. */
export function apartTokens({ sequences, logitsRows }: RankPlan): number {
  return Math.min(sequences, logitsRows);
}

/** Fields change in `begin` only. */
export class GpuStep implements StepValues {
  n = 0;
  position = 0;
  m = 0;
  isApart = false;
  seesAll = false;
  readonly #input: StepInput;
  readonly #rows: Required<StepRows>;
  /** The leader writes them into the rank's arena, [sequences, tableBlocks]. */
  readonly #tables: Uint32Array;
  readonly #tableBlocks: number;
  readonly #contextLength: number;
  readonly #keepsStates: boolean;
  readonly #hasAxes: boolean;
  readonly #isEncoder: boolean;

  constructor(
    input: StepInput,
    { plan, memory, isEncoder = false }: {
      readonly plan: RankPlan;
      readonly memory: WebAssembly.Memory;
      readonly isEncoder?: boolean;
    },
  ) {
    const { chunkTokens, contextLength, sequences, statePlaces, workspaces: [{ tables }] } = plan;
    this.#input = input;
    const numbers = () => new Int32Array(chunkTokens);
    const states = { from: numbers(), to: numbers() };
    const axes = new Int32Array(chunkTokens * POSITION_AXES);
    this.#rows = { positions: numbers(), slots: numbers(), states, axes };
    this.#hasAxes = input.hasAxes;
    this.#isEncoder = isEncoder;
    this.#keepsStates = statePlaces > 0;
    this.#tableBlocks = tableBlocks(contextLength);
    this.#contextLength = contextLength;
    this.#tables = new Uint32Array(memory.buffer, tables, sequences * this.#tableBlocks);
  }

  /** The slot of the step's first token. */
  get slot(): number {
    return this.#rows.slots[0];
  }

  /** Where the first token stands as rotary embeddings have it. */
  get turns(): number {
    return this.#rows.axes[0];
  }

  /**
   * Takes the step over, and writes it, unless it goes on by itself.
   * @param options.chained tokens that its only one stands for, and that follow them: a chain, of
   *   which it is the first.
   */
  begin(
    state: StepState,
    { chained = 1, goesOn = false }: { readonly chained?: number; readonly goesOn?: boolean } = {},
  ): void {
    const { n, logitsCount, segments, segmentCount, positions: axes } = state;
    check(chained === 1 || n === 1, "a chain begins with a step of one token");
    if (this.#isEncoder) return this.#beginTexts(state);
    const isOnes = areOnes(segments, segmentCount);
    check(isOnes || segmentCount === n, "tokens of one sequence, or of one each");
    this.seesAll = segments[SEGMENT_SEES_ALL] === 1;
    this.n = n;
    this.m = logitsCount;
    this.isApart = n === 1 || !isOnes;
    this.position = isOnes ? segments[SEGMENT_POSITION] : 0;
    let t = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const slot = segments[at + SEGMENT_SLOT];
      const first = segments[at + SEGMENT_POSITION];
      const end = first + segments[at + SEGMENT_ROWS];
      const isAll = segments[at + SEGMENT_SEES_ALL] === 1;
      check(!isAll || segmentCount === 1, "rows that see each other are all of a GPU's step");
      if (!isOnes) this.position = Math.max(this.position, first);
      check(end + chained - 1 <= this.#contextLength, "a chain ends within the context");
      this.#takeBlocks(slot, first, end + chained - 1);
      for (let position = first; position < end; position++, t++) {
        this.#rows.positions[t] = position;
        for (let i = t * POSITION_AXES; i < (t + 1) * POSITION_AXES; i++) {
          this.#rows.axes[i] = this.#hasAxes ? axes[i] : position;
        }
        this.#rows.slots[t] = slot;
        this.#rows.states.from[t] = this.#rows.states.to[t] = NONE;
      }
      if (this.#keepsStates) this.#takeStates(segments, at, t);
    }
    if (goesOn) this.#input.goOn();
    else this.#input.write(this, null, this.#rows);
  }

  /**
   * Of an encoder: whole texts, one behind the other. Nobody reads keys and values when the step is
   * over, so its rows are the positions of one sequence, and records say whose text they are of.
   */
  #beginTexts({ n, logitsCount, segments, segmentCount, positions: axes }: StepState): void {
    this.n = n;
    this.m = logitsCount;
    this.isApart = n === 1;
    const { positions, states: { from, to } } = this.#rows;
    let first = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      check(segments[at + SEGMENT_POSITION] === 0, "texts are read as a whole");
      const end = first + segments[at + SEGMENT_ROWS];
      for (let t = first; t < end; t++) {
        positions[t] = t;
        from[t] = first - 1;
        to[t] = end - 1;
        for (let i = t * POSITION_AXES; i < (t + 1) * POSITION_AXES; i++) {
          this.#rows.axes[i] = this.#hasAxes ? axes[i] : t - first;
        }
      }
      first = end;
    }
    this.#input.write(this, null, this.#rows);
  }

  /**
   * A segment's first token goes on with the state that is read, its last one leaves one behind.
   * @param end of its tokens.
   */
  #takeStates(segments: Int32Array, at: number, end: number): void {
    const { from, to } = this.#rows.states;
    const read = segments[at + SEGMENT_STATE_FROM], written = segments[at + SEGMENT_STATE_TO];
    // Invocations read the one while others write the other.
    check(read !== written, "a state is not written over while it is read");
    const first = end - segments[at + SEGMENT_ROWS];
    // A sequence whose state stays at some border goes on without reading it again.
    const isBehind = first > 0 && !this.isApart;
    check(!isBehind || read === to[first - 1], "segments of a sequence go on with its state");
    from[first] = isBehind ? NONE : read;
    to[end - 1] = written;
  }

  /** The next token of a chain. place: of the state that it leaves; null: nobody keeps states. */
  goOn(place: number | null): void {
    const { positions, states: { from, to }, axes } = this.#rows;
    this.position++;
    positions[0]++;
    for (let i = 0; i < POSITION_AXES; i++) axes[i]++;
    if (place === null) return;
    from[0] = to[0];
    to[0] = place;
  }

  /** Behind the step's last submission: writes the step that is likely to follow. */
  writeAhead(): void {
    if (this.isApart) this.#input.writeAhead(this, this.#rows);
  }

  /**
   * What the table has of positions below `end` and is not taken over yet. Somebody may be new in
   * the slot where a block begins (what is used again is whole blocks), and nowhere else.
   */
  #takeBlocks(slot: number, position: number, end: number): void {
    const first = slot * this.#tableBlocks;
    let i = position % KV_BLOCK_POSITIONS === 0 ? 0 : Math.floor(position / KV_BLOCK_POSITIONS);
    for (; i * KV_BLOCK_POSITIONS < end; i++) {
      this.#input.setBlock(slot, i, this.#tables[first + i]);
    }
  }
}

/** Of places of states. */
const NONE = -1;

/** All segments are one sequence's: where states stay at borders there are several of it. */
function areOnes(segments: Int32Array, count: number): boolean {
  const last = (count - 1) * SEGMENT_WORDS;
  return segments[SEGMENT_SLOT] === segments[last + SEGMENT_SLOT];
}
