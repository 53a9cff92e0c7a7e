/** Numbers in an order that changes: each is in the list at most once. Allocates nothing. */
import { check } from "../base/check.ts";

export class BlockList {
  /** The end that both sides of the ring lead to. */
  readonly #end: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #count = 0;

  /** Of numbers below `size`; none of them is in it. */
  constructor(size: number) {
    this.#end = size;
    this.#next = new Int32Array(size + 1).fill(-1);
    this.#previous = new Int32Array(size + 1).fill(-1);
    this.#next[size] = this.#previous[size] = size;
  }

  get count(): number {
    return this.#count;
  }

  /** The first one; the list must not be empty. */
  get first(): number {
    check(this.#count > 0, "a list that is not empty");
    return this.#next[this.#end];
  }

  addFirst(number: number): void {
    this.#insert(number, this.#end);
  }

  addLast(number: number): void {
    this.#insert(number, this.#previous[this.#end]);
  }

  /** It must be in the list. */
  remove(number: number): void {
    check(this.#next[number] >= 0, "a number of the list");
    this.#next[this.#previous[number]] = this.#next[number];
    this.#previous[this.#next[number]] = this.#previous[number];
    this.#next[number] = this.#previous[number] = -1;
    this.#count--;
  }

  #insert(number: number, before: number): void {
    check(this.#next[number] < 0, "a number that is not in the list");
    const after = this.#next[before];
    this.#next[before] = number;
    this.#previous[number] = before;
    this.#next[number] = after;
    this.#previous[after] = number;
    this.#count++;
  }
}
