/** Drawing from lists and patterns, from a seed. Knows nothing of what is drawn. */

/** A stream of pseudo-random numbers (mulberry32): the same seed gives the same data. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** True in `share` of all cases. */
  chance(share: number): boolean {
    return this.next() < share;
  }

  /** A whole number in [0, end). */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

/** The first of two is taken in 0.5 ** (1 / FONDNESS) of all cases. */
const FONDNESS = 2;

/** Prefers what comes first in a list, so that a model knows what it would rather say. */
export class FondDice extends Dice {
  override pick<T>(list: readonly T[]): T {
    return list[Math.floor(list.length * this.next() ** FONDNESS)];
  }
}

/** A list of which some are drawn more often than others. */
export class Wheel<T> {
  readonly #items: readonly T[];
  /** Of each item, how far the wheel has turned behind it. */
  readonly #ends: readonly number[];

  constructor(weighted: readonly (readonly [T, number])[]) {
    let end = 0;
    this.#items = weighted.map(([item]) => item);
    this.#ends = weighted.map(([, weight]) => end += weight);
  }

  spin(dice: Dice): T {
    const at = dice.next() * this.#ends[this.#ends.length - 1];
    return this.#items[this.#ends.findIndex((end) => at < end)];
  }
}

/** A pattern with one of every "(a|b|)" taken; spaces that an empty one leaves behind vanish. */
export function expand(pattern: string, dice: Dice): string {
  let text = pattern;
  for (let before = ""; before !== text;) {
    before = text;
    text = text.replace(
      /\(([^()|]*(?:\|[^()|]*)+)\)/g,
      (_, list: string) => dice.pick(list.split("|")),
    );
  }
  return text.replace(/ +/g, " ").replace(/ ([,.?!])/g, "$1").trim();
}

/** Each "{slot}" filled; `fixed` holds what must be the same everywhere, and grows when `keep`. */
export function fill(
  pattern: string,
  slots: ReadonlyMap<string, readonly string[]>,
  dice: Dice,
  fixed?: Map<string, string>,
): string {
  return pattern.replace(/\{(\w+)\}/g, (whole, slot: string) => {
    const words = slots.get(slot);
    if (words === undefined) return whole;
    const word = fixed?.get(slot) ?? fill(dice.pick(words), slots, dice);
    fixed?.set(slot, word);
    return word;
  });
}
