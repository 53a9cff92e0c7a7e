/**
 * Who fired in a group of four windows, as four bits for every token and neuron: from them it can
 * be told who fires for one of several sequences, or for one of several tokens of a prompt.
 */
import { check } from "../base/check.ts";
import { GROUP_WINDOWS, PREFILL_TOKENS } from "./types.ts";
import type { FiringStats, StatsSubject } from "./types.ts";

/** Bits of a mark. */
const BIT_COUNTS = Uint8Array.from({ length: 1 << GROUP_WINDOWS }, (_, mark) => {
  let count = 0;
  for (let bits = mark; bits !== 0; bits >>= 1) count += bits & 1;
  return count;
});
const FIRST_PAIR = 0b0011;
const SECOND_PAIR = 0b1100;
const FIRST_THREE = 0b0111;

export class GroupMarks {
  readonly #neuronCount: number;
  readonly #windowTokens: number;
  /** Per layer [tokens, neurons]; bit w is window w's. */
  readonly #marks: readonly Uint8Array[];

  constructor({ layerCount, neuronCount, windowTokens }: StatsSubject) {
    this.#neuronCount = neuronCount;
    this.#windowTokens = windowTokens;
    this.#marks = Array.from(
      { length: layerCount },
      () => new Uint8Array(windowTokens * neuronCount),
    );
  }

  clear(): void {
    for (const marks of this.#marks) marks.fill(0);
  }

  /**
   * Notes some tokens of a window.
   * @param fires whether element i fired, [tokens, neurons].
   */
  add(
    at: { layer: number; window: number; firstToken: number; length: number },
    fires: (element: number) => boolean,
  ): void {
    const { layer, window, firstToken, length } = at;
    const first = firstToken * this.#neuronCount;
    const marks = this.#marks[layer];
    check(window < GROUP_WINDOWS && first + length <= marks.length, "tokens of a window");
    for (let i = 0; i < length; i++) if (fires(i)) marks[first + i] |= 1 << window;
  }

  /** Notes some tokens of a window; fired: 1 or 0, [tokens, neurons]. */
  addFired(at: { layer: number; window: number; firstToken: number }, fired: Uint8Array): void {
    const { layer, window, firstToken } = at;
    const first = firstToken * this.#neuronCount;
    const marks = this.#marks[layer];
    check(window < GROUP_WINDOWS && first + fired.length <= marks.length, "tokens of a window");
    for (let i = 0; i < fired.length; i++) marks[first + i] |= fired[i] << window;
  }

  /** Counts the group; all four windows are in. */
  countInto(stats: FiringStats): void {
    const tokens = this.#windowTokens;
    const pieces = Math.floor(tokens / PREFILL_TOKENS);
    const { units, counts } = stats;
    this.#marks.forEach((marks, layer) => {
      const base = layer * this.#neuronCount;
      for (let token = 0; token < tokens; token++) {
        for (let i = 0, at = token * this.#neuronCount; i < this.#neuronCount; i++, at++) {
          const mark = marks[at];
          if (mark === 0) continue;
          counts["1"][base + i] += BIT_COUNTS[mark];
          counts["2"][base + i] += Number((mark & FIRST_PAIR) !== 0) +
            Number((mark & SECOND_PAIR) !== 0);
          counts["3"][base + i] += Number((mark & FIRST_THREE) !== 0);
          counts["4"][base + i]++;
        }
      }
      for (let piece = 0; piece < pieces; piece++) {
        this.#countPiece(marks, piece, counts.prefill.subarray(base, base + this.#neuronCount));
      }
    });
    units["1"] += 4 * tokens;
    units["2"] += 2 * tokens;
    units["3"] += tokens;
    units["4"] += tokens;
    units.prefill += GROUP_WINDOWS * pieces;
  }

  #countPiece(marks: Uint8Array, piece: number, counts: Uint32Array): void {
    const any = new Uint8Array(this.#neuronCount);
    for (let token = piece * PREFILL_TOKENS; token < (piece + 1) * PREFILL_TOKENS; token++) {
      const at = token * this.#neuronCount;
      for (let i = 0; i < any.length; i++) any[i] |= marks[at + i];
    }
    for (let i = 0; i < any.length; i++) counts[i] += BIT_COUNTS[any[i]];
  }
}
