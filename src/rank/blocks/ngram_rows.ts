/**
 * Which rows of a table tokens name: products and exclusive ors of integers of 64 bits, by four
 * parts of 16 that are exact as fractions. Knows no weights.
 */
import type { NgramConfig } from "../../model/gated_types.ts";

/** Parts of an integer of 64 bits, and what one holds. */
const PARTS = 4;
const PART = 65536;

export class NgramRows {
  /** Of the last token that was taken, by heads. */
  readonly rows: Float64Array;
  readonly #config: NgramConfig;
  /** The last tokens, the newest first. */
  readonly #ids: Int32Array;
  readonly #starts: Float64Array;
  readonly #counts: Float64Array;
  readonly #mixed = new Int32Array(PARTS);

  constructor(config: NgramConfig) {
    this.#config = config;
    this.rows = new Float64Array(config.heads.length);
    this.#ids = new Int32Array(config.length);
    this.#starts = Float64Array.from(config.heads, ({ start }) => start);
    this.#counts = Float64Array.from(config.heads, ({ count }) => count);
  }

  /** A sequence begins. */
  begin(): void {
    this.#ids.fill(this.#config.endToken);
  }

  /** It goes on behind tokens that `leave` has written. */
  goOn(from: Int32Array, at: number): void {
    for (let i = 0; i < this.#ids.length - 1; i++) this.#ids[i] = from[at + i];
  }

  leave(to: Int32Array, at: number): void {
    for (let i = 0; i < this.#ids.length - 1; i++) to[at + i] = this.#ids[i];
  }

  /** Sets `rows` to what a token names with those before it. */
  take(id: number): void {
    const ids = this.#ids, { length, endToken } = this.#config;
    ids.copyWithin(1, 0, length - 1);
    ids[0] = id;
    const mixed = this.#mixed, perLength = this.rows.length / (length - 1);
    mixed.fill(0);
    this.#mix(0, id);
    let isOver = false;
    for (let back = 1, head = 0; back < length; back++) {
      isOver ||= ids[back] === endToken;
      this.#mix(back, isOver ? endToken : ids[back]);
      for (let i = 0; i < perLength; i++, head++) this.#choose(head);
    }
  }

  /** mixed ^= id · the multiplier of a token so far back, of 64 bits. */
  #mix(back: number, id: number): void {
    const { multipliers } = this.#config;
    const low = id % PART, high = Math.floor(id / PART);
    let carry = 0;
    for (let part = 0; part < PARTS; part++) {
      const at = PARTS * back + part;
      carry += low * multipliers[at] + (part > 0 ? high * multipliers[at - 1] : 0);
      const more = Math.floor(carry / PART);
      this.#mixed[part] ^= carry - more * PART;
      carry = more;
    }
  }

  /** rows[head] = mixed mod its rows, behind those of the others. */
  #choose(head: number): void {
    const count = this.#counts[head];
    let rest = 0;
    for (let part = PARTS - 1; part >= 0; part--) rest = (rest * PART + this.#mixed[part]) % count;
    this.rows[head] = this.#starts[head] + rest;
  }
}
