/** A pool of blocks of keys and values beside what was written into them. */
import { assert, assertEquals } from "@std/assert";
import { KvBlocks } from "../../src/engine/kv_blocks.ts";
import type { KvBlocksOptions, KvRequest } from "../../src/engine/kv_blocks_types.ts";
import { KV_BLOCK_POSITIONS as TOKENS } from "../../src/memory/kv_layout.ts";

export const SLOTS = 4;
const TABLE_BLOCKS = 6;

/**
 * What a pool of blocks is to hold: the texts that sequences wrote, position by position. Each
 * block carries what was written into it, so that whoever gets one again is seen to get the truth.
 */
export class KvWorld {
  readonly tables = Array.from({ length: SLOTS }, () => new Int32Array(TABLE_BLOCKS).fill(-1));
  /** By block: the text up to and with its last written position, as a string. */
  readonly written: string[][];
  readonly open = new Map<number, { ids: Int32Array; tokens: number; total: number }>();
  readonly kv: KvBlocks;
  readonly blocks: number;
  copies = 0;

  constructor(
    blocks: number,
    { reuseUnit = 1, copies = false, ...more }:
      & Partial<Pick<KvBlocksOptions, "reuseUnit" | "canFollow">>
      & { readonly copies?: boolean } = {},
  ) {
    this.blocks = blocks;
    this.written = Array.from({ length: blocks }, () => []);
    this.kv = new KvBlocks({
      ...{ blocks, sequences: SLOTS, tableBlocks: TABLE_BLOCKS, reuseUnit, ...more },
      onBlock: (slot, index, block) => this.tables[slot][index] = block,
      ...copies && { onCopy: (from, to) => this.#copy(from, to) },
    });
  }

  #copy(from: number, to: number): void {
    this.copies++;
    this.written[to] = [...this.written[from]];
  }

  begin(
    slot: number,
    ids: Int32Array,
    promptTokens: number,
    total: number,
    isExact = true,
    more: Partial<KvRequest> = {},
  ) {
    const request = { ids, promptTokens, totalTokens: total, isExact, ...more };
    const reused = this.kv.open(slot, request);
    if (reused < 0) return -1;
    assert(reused < promptTokens, "one is left to compute");
    this.open.set(slot, { ids, tokens: reused, total });
    this.check(slot);
    return reused;
  }

  /** Writes positions up to `tokens`, as a step does. */
  write(slot: number, tokens: number, isExact = true): void {
    const sequence = this.open.get(slot)!;
    this.kv.grow(slot, tokens);
    const first = sequence.tokens;
    sequence.tokens = tokens;
    for (let p = first; p < tokens; p++) {
      const block = this.tables[slot][Math.floor(p / TOKENS)];
      const place = p % TOKENS;
      if (place === 0) this.written[block] = [];
      assertEquals(this.users(block), [slot], "nobody else has what is written");
      this.written[block][place] = this.textUntil(slot, p);
    }
    this.kv.remember(slot, sequence.ids, tokens, isExact);
    this.check(slot);
  }

  end(slot: number): void {
    this.kv.close(slot);
    this.open.delete(slot);
  }

  /** Slots whose sequences have a block. */
  users(block: number): number[] {
    return [...this.open].filter(([slot, { tokens }]) =>
      this.tables[slot].subarray(0, Math.ceil(tokens / TOKENS)).includes(block)
    ).map(([slot]) => slot);
  }

  textUntil(slot: number, position: number): string {
    return this.open.get(slot)!.ids.subarray(0, position + 1).join();
  }

  /** Every position of a sequence holds what its ids before it make. */
  check(slot: number): void {
    const { tokens } = this.open.get(slot)!;
    for (let p = 0; p < tokens; p++) {
      const block = this.tables[slot][Math.floor(p / TOKENS)];
      assertEquals(this.written[block][p % TOKENS], this.textUntil(slot, p), `position ${p}`);
    }
  }

  checkAccount(): void {
    const used = new Set<number>();
    let promised = 0;
    for (const [slot, { tokens, total }] of this.open) {
      const own = Math.ceil(tokens / TOKENS);
      for (const block of this.tables[slot].subarray(0, own)) used.add(block);
      promised += Math.ceil(total / TOKENS) - own;
    }
    assertEquals(this.kv.usedBlocks, used.size);
    assertEquals(this.kv.availableBlocks, this.blocks - used.size - promised);
    assert(this.kv.availableBlocks >= 0, "nobody was promised what is not there");
    assert(this.kv.rememberedBlocks <= this.blocks);
  }
}

/** A text of so many blocks, each of ids of one kind; 0 behind them. */
export function idsOf(...kinds: number[]): Int32Array {
  return Int32Array.from(
    { length: TABLE_BLOCKS * TOKENS },
    (_, i) => kinds[Math.floor(i / TOKENS)] ?? 0,
  );
}
