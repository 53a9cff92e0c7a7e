/**
 * Keys and values that lie in one piece, position after position, of one sequence at a time: on a
 * GPU. What the last sequence left is used again as far as the next one begins alike. Arithmetic
 * over ids: knows no memories.
 */
import { check } from "../base/check.ts";
import type { KvRequest, KvStore } from "./kv_store.ts";

export class LinearKv implements KvStore {
  readonly #reuseUnit: number;
  /** Ids whose keys and values are there, from position 0 on, */
  readonly #ids: Int32Array;
  #count = 0;
  /** and how many of them are exact: a cold prompt would have got them so. */
  #exactCount = 0;
  #isOpen = false;

  constructor(options: {
    readonly contextLength: number;
    readonly reuseUnit: number;
    readonly tableBlocks: number;
    readonly onBlock: (slot: number, index: number, block: number) => void;
  }) {
    this.#reuseUnit = options.reuseUnit;
    this.#ids = new Int32Array(options.contextLength);
    for (let i = 0; i < options.tableBlocks; i++) options.onBlock(0, i, i);
  }

  get usedTokens(): number {
    return this.#isOpen ? this.#count : 0;
  }

  open(slot: number, { ids, promptTokens, isExact, reuses = true }: KvRequest): number {
    check(slot === 0, "one sequence at a time");
    if (this.#isOpen) return -1;
    this.#isOpen = true;
    const most = reuses ? Math.min(this.#count, promptTokens - 1) : 0;
    let reused = 0;
    while (reused < most && this.#ids[reused] === ids[reused]) reused++;
    this.#exactCount = Math.min(this.#exactCount, reused - reused % this.#reuseUnit);
    this.#count = isExact ? this.#exactCount : reused;
    return this.#count;
  }

  grow(): void {}

  remember(_slot: number, ids: Int32Array, tokens: number, isExact: boolean): void {
    for (let i = this.#count; i < tokens; i++) this.#ids[i] = ids[i];
    if (isExact && this.#exactCount === this.#count) this.#exactCount = tokens;
    this.#count = tokens;
  }

  close(): void {
    this.#isOpen = false;
  }

  clearFor(): void {
    check(!this.#isOpen, "no sequence is open");
    this.#count = this.#exactCount = 0;
  }
}
