/** Blocks of keys and values, against a model that is slow and obvious. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { KvBlocks } from "../../src/engine/kv_blocks.ts";
import { KV_BLOCK_POSITIONS as TOKENS } from "../../src/memory/kv_layout.ts";
import { fuzzRuns } from "../support/fuzz.ts";

const SLOTS = 4;
const TABLE_BLOCKS = 6;

/**
 * What a pool of blocks is to hold: the texts that sequences wrote, position by position. Each
 * block carries what was written into it, so that whoever gets one again is seen to get the truth.
 */
class World {
  readonly tables = Array.from({ length: SLOTS }, () => new Int32Array(TABLE_BLOCKS).fill(-1));
  /** By block: the text up to and with its last written position, as a string. */
  readonly written: string[][];
  readonly open = new Map<number, { ids: Int32Array; tokens: number; total: number }>();
  readonly kv: KvBlocks;
  readonly blocks: number;

  constructor(blocks: number, reuseUnit = 1) {
    this.blocks = blocks;
    this.written = Array.from({ length: blocks }, () => []);
    this.kv = new KvBlocks({
      ...{ blocks, sequences: SLOTS, tableBlocks: TABLE_BLOCKS, reuseUnit },
      onBlock: (slot, index, block) => this.tables[slot][index] = block,
    });
  }

  begin(slot: number, ids: Int32Array, promptTokens: number, total: number, isExact = true) {
    const request = { ids, promptTokens, totalTokens: total, isExact };
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

/** Texts that often begin alike: ids of few kinds, by blocks. */
const textOf = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 6, maxLength: 6 })
  .map((kinds) => Int32Array.from({ length: 6 * TOKENS }, (_, i) => kinds[Math.floor(i / TOKENS)]));

const action = fc.record({
  kind: fc.constantFrom("begin", "write", "write", "write", "end"),
  slot: fc.nat(SLOTS - 1),
  ids: textOf,
  tokens: fc.integer({ min: 1, max: 6 * TOKENS }),
  more: fc.nat(3 * TOKENS),
  isExact: fc.boolean(),
});

const runs = fc.array(action, { maxLength: 80, size: "max" });

// fault 65: the account of blocks, whoever leaves when.
Deno.test("KvBlocks gives every sequence its own past, and keeps account of every block", () => {
  fc.assert(
    fc.property(fc.integer({ min: 6, max: 20 }), runs, (blocks, actions) => {
      const world = new World(blocks);
      for (const { kind, slot, ids, tokens, more, isExact } of actions) {
        const sequence = world.open.get(slot);
        if (kind === "begin" && sequence === undefined) {
          const total = Math.min(6 * TOKENS, tokens + more);
          const before = world.kv.availableBlocks;
          if (world.begin(slot, ids, tokens, total, isExact) < 0) {
            assertEquals(world.kv.availableBlocks, before, "what finds no room takes none");
          }
        } else if (kind === "write" && sequence !== undefined) {
          const end = Math.min(sequence.total, sequence.tokens + 1 + more);
          if (end > sequence.tokens) world.write(slot, end, isExact);
        } else if (kind === "end" && sequence !== undefined) {
          world.end(slot);
        }
        world.checkAccount();
      }
      for (const slot of [...world.open.keys()]) world.end(slot);
      assertEquals([world.kv.usedBlocks, world.kv.availableBlocks], [0, blocks]);
    }),
    fuzzRuns(300),
  );
});

function idsOf(...kinds: number[]): Int32Array {
  return Int32Array.from(
    { length: TABLE_BLOCKS * TOKENS },
    (_, i) => kinds[Math.floor(i / TOKENS)] ?? 0,
  );
}

Deno.test("KvBlocks uses whole blocks of a prompt again, while they are in use and after", () => {
  const world = new World(24);
  assertEquals(world.begin(0, idsOf(1, 2, 3), 80, 96), 0);
  world.write(0, 80);
  assertEquals(world.begin(1, idsOf(1, 2, 3), 80, 96), 64, "in use");
  assertEquals(world.kv.usedBlocks, 3, "two are the same, and nothing is written yet");
  world.end(0);
  world.end(1);
  assertEquals(world.begin(0, idsOf(1, 2, 4), 80, 96), 64, "after");
  assertEquals(world.begin(1, idsOf(1, 3, 3), 80, 96), 32);
  assertEquals(world.begin(2, idsOf(2, 1), 80, 96), 0);
});

Deno.test("KvBlocks tells texts apart whose hashes are the same", () => {
  const world = new World(24);
  const { imul } = Math;
  let hashed = 0;
  // What hashes are made of: all are the same now.
  Math.imul = () => ++hashed && 0;
  try {
    world.begin(0, idsOf(1, 2, 3), 80, 96);
    world.write(0, 80);
    assertEquals(world.begin(1, idsOf(2, 2, 3), 80, 96), 0);
    world.write(1, 80);
    world.end(1);
    assertEquals(world.begin(1, idsOf(1, 2, 3), 80, 96), 32, "only one text has the hash's place");
  } finally {
    Math.imul = imul;
  }
  assert(hashed > 0);
});

Deno.test("KvBlocks leaves the last id of a prompt to be computed", () => {
  const world = new World(24);
  world.begin(0, idsOf(1, 2), 64, 96);
  world.write(0, 64);
  assertEquals(world.begin(1, idsOf(1, 2), 64, 96), 32);
  assertEquals(world.begin(2, idsOf(1, 2), 65, 96), 64);
});

Deno.test("KvBlocks forgets what was not used for longest", () => {
  const world = new World(8);
  for (const kind of [1, 2, 3, 4]) {
    world.begin(0, idsOf(kind, kind), 64, 64);
    world.write(0, 64);
    world.end(0);
  }
  assertEquals(world.begin(0, idsOf(1, 1), 96, 96), 64, "the pool is just full");
  world.write(0, 96);
  world.end(0);
  // The new block took the place of the end of 2.
  assertEquals(world.begin(0, idsOf(2, 2), 96, 96), 32);
  assertEquals(world.begin(1, idsOf(4, 4), 65, 65), 64);
});

Deno.test("KvBlocks takes for exact requests only what is exact, in whole units", () => {
  const world = new World(24, 2 * TOKENS);
  const ids = idsOf(1, 2, 3, 4);
  world.begin(0, ids, 128, 192);
  world.write(0, 96);
  world.write(0, 128, false);
  assertEquals(world.begin(1, ids, 128, 192), 64, "three are exact, which is one unit of two");
  assertEquals(world.begin(2, ids, 128, 192, false), 96);
  world.end(2);
  // The exact one takes the other's place.
  world.write(1, 128);
  assertEquals(world.begin(2, ids, 129, 192), 128);
});

Deno.test("KvBlocks takes in what comes from elsewhere, where its past is known, and makes room for it", () => {
  const world = new World(6);
  const { kv } = world;
  const [a, b] = [idsOf(1).slice(0, TOKENS), idsOf(2).slice(0, TOKENS)];
  const first = kv.adopt({ ids: a, before: null, isExact: false })!;
  const second = kv.adopt({ ids: b, before: first.block, isExact: true })!;
  assertEquals([first.isKnown, second.isKnown], [false, false]);
  assertEquals(kv.rememberedOf(idsOf(1, 2, 3)).map(({ block }) => block), [
    first.block,
    second.block,
  ]);
  assertEquals(kv.rememberedOf(idsOf(2, 1)), []);
  assertEquals(kv.adopt({ ids: b, before: first.block, isExact: true }), {
    block: second.block,
    isKnown: true,
  });
  // Exact bytes take the place of others.
  assertEquals(kv.adopt({ ids: a, before: null, isExact: true })!.isKnown, false);
  for (let kind = 10; kind < 14; kind++) {
    assert(kv.adopt({ ids: idsOf(kind).slice(0, TOKENS), before: null, isExact: true }) !== null);
  }
  kv.refresh(first.block);
  const last = kv.adopt({ ids: idsOf(20).slice(0, TOKENS), before: null, isExact: true });
  assertEquals(last?.block, second.block, "the one that was not used for longest");
  assertEquals(kv.rememberedOf(idsOf(1, 2)).length, 1);
  const gone = kv.adopt({ ids: b, before: second.block, isExact: true });
  assert(gone !== null, "what has its place now is another past");
  assertEquals(kv.rememberedOf(idsOf(20, 2)).length, 2);
});
