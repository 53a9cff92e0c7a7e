/**
 * How much of each adapter sequences have: told to all ranks by the table that they look into, and
 * to the account of keys and values by a content of its own before all others, so that nothing is
 * ever used again with another adapter, or more of one.
 */
import type { RankSetup } from "../rank/open_rank.ts";
import { ROOT } from "./kv_blocks.ts";

/** Mixes that are remembered; of one that was forgotten nothing is used again. */
const MIXES_MAX = 256;
/** Contents of blocks count up from 1, and -1 is none. */
const FIRST_ROOT = -2;

export class WornAdapters {
  readonly #count: number;
  /** Of each rank, [sequences, adapters]. */
  readonly #tables: readonly Float32Array[];
  /** By mix, in the order of their last use. */
  readonly #roots = new Map<string, number>();
  #nextRoot = FIRST_ROOT;

  constructor({ plans, memories }: Pick<RankSetup, "plans" | "memories">) {
    this.#count = plans[0].adapters?.count ?? 0;
    this.#tables = plans.map(({ workspaces: [{ added }], sequences }, rank) =>
      new Float32Array(memories[rank][0].buffer, added?.table ?? 0, sequences * this.#count)
    );
  }

  /**
   * The slot's sequence has so much of each adapter from now on; between two steps.
   * mix: the name for that, where somebody has it already.
   * @returns the content before all of it, as `rootOf`.
   */
  wear(slot: number, adapters: readonly number[] = [], mix = mixOf(adapters)): number {
    for (const table of this.#tables) {
      for (let i = 0; i < this.#count; i++) table[slot * this.#count + i] = adapters[i] ?? 0;
    }
    return this.#rootOf(mix);
  }

  /** The content before all of what is computed with so much of each adapter. */
  rootOf(adapters: readonly number[] = []): number {
    return this.#rootOf(mixOf(adapters));
  }

  #rootOf(mix: string): number {
    if (mix === "") return ROOT;
    const root = this.#roots.get(mix) ?? this.#nextRoot--;
    this.#roots.delete(mix);
    this.#roots.set(mix, root);
    if (this.#roots.size > MIXES_MAX) this.#roots.delete(this.#roots.keys().next().value!);
    return root;
  }
}

/** A name for so much of each adapter; "": nothing of any. Ranks have their numbers as f32. */
export function mixOf(adapters: readonly number[] = []): string {
  const scales = adapters.map(Math.fround);
  return scales.every((scale) => scale === 0) ? "" : scales.join(" ");
}
