/** Ends of texts, and blocks that two texts begin alike: what of them is used again. */
import { assertEquals } from "@std/assert";
import type { KvRequest } from "../../src/engine/kv_blocks_types.ts";
import { KV_BLOCK_POSITIONS as TOKENS } from "../../src/memory/kv_layout.ts";
import { idsOf, KvWorld } from "../support/kv_world.ts";

/** `idsOf`, but for those from `at` on. */
function otherFrom(at: number, ids: Int32Array): Int32Array {
  return ids.map((id, i) => i < at ? id : id + 100);
}

Deno.test("KvBlocks goes on with the end of a text where it lies, once nobody has it", () => {
  const world = new KvWorld(24, { copies: true });
  const ids = idsOf(1, 2, 3);
  world.begin(0, ids, 70, 96);
  world.write(0, 70);
  world.write(0, 75); // an answer
  world.end(0);
  const ends = world.kv.usedBlocks;
  assertEquals(world.begin(0, ids, 90, 96), 75);
  assertEquals([world.copies, world.kv.usedBlocks - ends], [0, 3]);
  world.write(0, 90);
  world.end(0);
  assertEquals(world.begin(0, otherFrom(90, ids), 96, 96), 90);
  assertEquals(world.copies, 0);
});

Deno.test("KvBlocks leaves an end as it is that a text goes on with otherwise", () => {
  const world = new KvWorld(24, { copies: true });
  const ids = idsOf(1, 2, 3);
  world.begin(0, ids, 80, 96);
  world.write(0, 80);
  world.end(0);
  assertEquals(world.begin(0, otherFrom(70, ids), 75, 96), 70);
  assertEquals(world.copies, 1);
  world.write(0, 75);
  world.end(0);
  assertEquals(world.begin(0, otherFrom(70, ids), 96, 96), 75);
  assertEquals(world.begin(1, ids, 96, 96), 80);
});

Deno.test("KvBlocks copies what a text shares of a block with one that goes on otherwise", () => {
  const world = new KvWorld(24, { copies: true });
  const ids = idsOf(1, 2, 3);
  world.begin(0, ids, 70, 96);
  world.write(0, 70);
  assertEquals(world.begin(1, ids, 71, 96), 70, "of an end that is in use");
  assertEquals(world.begin(2, otherFrom(66, ids), 80, 96), 66, "the beginning of an end");
  world.write(2, 80);
  assertEquals(world.begin(3, otherFrom(40, ids), 80, 96), 40, "the beginning of a whole block");
  assertEquals(world.copies, 3);
  world.write(3, 80);
  for (const slot of [0, 1, 2, 3]) world.end(slot);
  assertEquals(world.begin(0, otherFrom(66, ids), 78, 96), 77, "of all ends the longest");
  assertEquals(world.begin(1, ids, 70, 96), 69, "the last id is computed");
  assertEquals(world.begin(2, otherFrom(40, ids), 64, 96), 63);
  assertEquals(world.begin(3, otherFrom(20, ids), 64, 96), 20);
});

Deno.test("KvBlocks keeps blocks apart that begin alike behind other texts", () => {
  const world = new KvWorld(24, { copies: true });
  world.begin(0, idsOf(1, 2, 3), 80, 96);
  world.write(0, 80);
  assertEquals(world.begin(1, idsOf(4, 2, 3), 80, 96), 0);
  assertEquals(world.begin(2, idsOf(1, 5, 3), 80, 96), 32);
  assertEquals(world.begin(3, idsOf(1, 2, 3), 80, 96, true, { root: -2 }), 0, "an adapter's");
});

Deno.test("KvBlocks copies nothing where a text cannot go on within a block", () => {
  const ids = idsOf(1, 2, 3);
  const reusedBy = (world: KvWorld, isExact = true, more: Partial<KvRequest> = {}) => {
    world.begin(0, ids, 80, 96);
    world.write(0, 80);
    world.end(0);
    return world.begin(0, ids, 90, 96, isExact, more);
  };
  const copies = true;
  assertEquals(reusedBy(new KvWorld(24)), 64, "nothing can be copied");
  assertEquals(reusedBy(new KvWorld(24, { copies, canFollow: () => true })), 64, "states");
  assertEquals(reusedBy(new KvWorld(24, { copies }), true, { reuses: false }), 0);
  assertEquals(reusedBy(new KvWorld(24, { copies, reuseUnit: 2 * TOKENS })), 64, "whole units");
  assertEquals(reusedBy(new KvWorld(24, { copies, reuseUnit: 2 * TOKENS }), false), 80);
  const units = [{}, { copies }, { copies, canFollow: () => true }];
  assertEquals(units.map((each) => new KvWorld(24, each).kv.unitTokens), [TOKENS, 1, TOKENS]);
  const image = (tokens: number) => tokens <= 72 || tokens >= 84;
  assertEquals(reusedBy(new KvWorld(24, { copies }), true, { mayEndAt: image }), 72);
});

Deno.test("KvBlocks takes for exact requests only ends that are exact", () => {
  const world = new KvWorld(24, { copies: true });
  const ids = idsOf(1, 2, 3);
  world.begin(0, ids, 70, 96);
  world.write(0, 70);
  world.write(0, 75, false);
  assertEquals(world.begin(1, ids, 80, 96), 64);
  assertEquals(world.begin(2, ids, 80, 96, false), 75);
});

Deno.test("KvBlocks forgets an end that was not used for longest, and all of it when it is cleared", () => {
  const world = new KvWorld(6, { copies: true });
  const end = (kind: number, blocks: number) => {
    world.begin(0, idsOf(kind, kind, kind, kind, kind), 32 * blocks - 2, 32 * blocks);
    world.write(0, 32 * blocks - 2);
    world.end(0);
  };
  end(1, 1);
  end(2, 5);
  assertEquals(world.begin(0, idsOf(1), 40, 64), 30);
  world.end(0);
  end(3, 5);
  assertEquals(world.begin(0, idsOf(2, 2, 2, 2, 2), 150, 160), 0);
  world.end(0);
  world.kv.clearFor(0);
  assertEquals(world.begin(0, idsOf(3, 3, 3, 3, 3), 150, 160), 0);
});

Deno.test("KvBlocks keeps no end that another one begins with", () => {
  const world = new KvWorld(6, { copies: true });
  const other = idsOf(7, 8);
  world.begin(1, other, 40, 64);
  world.write(1, 40);
  world.end(1);
  const ids = idsOf(1, 2);
  for (const tokens of [40, 40, 41, 42, 43, 44, 45, 47, 46, 45, 44, 43, 42, 41]) {
    world.begin(0, ids, tokens, 64);
    world.write(0, tokens);
    world.end(0);
  }
  assertEquals(world.begin(0, ids, 60, 64), 47);
  world.end(0);
  assertEquals(world.begin(1, other, 60, 64), 40, "there was room for both");
});

Deno.test("KvBlocks keeps an exact end beside a longer one that is not", () => {
  const world = new KvWorld(24, { copies: true });
  const ids = idsOf(1, 2);
  for (const [tokens, isExact] of [[40, true], [45, false], [42, false]] as const) {
    world.begin(0, ids, tokens, 64, true, { reuses: false });
    world.write(0, tokens, isExact);
    world.end(0);
  }
  assertEquals(world.begin(0, ids, 60, 64), 40);
  assertEquals(world.begin(1, ids, 60, 64, false), 45);
});

Deno.test("KvBlocks forgets what a sequence computed that came to nothing, and no more", () => {
  const world = new KvWorld(24, { copies: true });
  const ids = idsOf(1, 2, 3, 4);
  world.begin(0, ids, 40, 96);
  world.write(0, 40);
  world.end(0);
  assertEquals(world.begin(0, ids, 120, 128), 40);
  world.write(0, 110);
  assertEquals(world.begin(1, ids, 120, 128), 110);
  world.end(1);
  world.kv.forgetOwn(0);
  world.end(0);
  assertEquals(world.begin(0, ids, 120, 128), 32);
});
