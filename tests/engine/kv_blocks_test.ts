/** Blocks of keys and values, against a model that is slow and obvious. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { KV_BLOCK_POSITIONS as TOKENS } from "../../src/memory/kv_layout.ts";
import { fuzzRuns } from "../support/fuzz.ts";
import { idsOf, KvWorld, SLOTS } from "../support/kv_world.ts";

/** Texts that often begin alike: ids of few kinds, by quarters of blocks. */
const textOf = fc.array(fc.constantFrom(0, 0, 0, 1), { minLength: 24, maxLength: 24 })
  .map((kinds) => Int32Array.from({ length: 6 * TOKENS }, (_, i) => kinds[i >> 3]));

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
    fc.property(fc.integer({ min: 6, max: 20 }), fc.boolean(), runs, (blocks, copies, actions) => {
      const world = new KvWorld(blocks, { copies });
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

Deno.test("KvBlocks uses whole blocks of a prompt again, while they are in use and after", () => {
  const world = new KvWorld(24);
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
  const world = new KvWorld(24);
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
  const world = new KvWorld(24);
  world.begin(0, idsOf(1, 2), 64, 96);
  world.write(0, 64);
  assertEquals(world.begin(1, idsOf(1, 2), 64, 96), 32);
  assertEquals(world.begin(2, idsOf(1, 2), 65, 96), 64);
});

Deno.test("KvBlocks forgets what was not used for longest", () => {
  const world = new KvWorld(8);
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
  const world = new KvWorld(24, { reuseUnit: 2 * TOKENS });
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
  const world = new KvWorld(6);
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
