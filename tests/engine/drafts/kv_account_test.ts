/** What guesses leave in the account of blocks: nothing, whatever becomes of them. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { KvBlocks } from "../../../src/engine/kv_blocks.ts";
import { Rng } from "../../support/rng.ts";

const SLOTS = 4;
const TABLE_BLOCKS = 8;

function createBlocks(): KvBlocks {
  return new KvBlocks({
    ...{ blocks: 60, sequences: SLOTS, tableBlocks: TABLE_BLOCKS, reuseUnit: 1 },
    onBlock: () => {},
  });
}

/** Everything that is remembered, as text. */
function contents(blocks: KvBlocks): string[] {
  const byBlock = new Map<number, string>();
  for (const { block, before, ids } of blocks.remembered()) {
    byBlock.set(block, `${before === null ? "" : byBlock.get(before)}|${ids.join(" ")}`);
  }
  return [...byBlock.values()].sort();
}

Deno.test("KvBlocks keeps the same account with guesses, taken or not, as without", () => {
  const rng = new Rng(3);
  let rejected = 0;
  for (let round = 0; round < 40; round++) {
    const plain = createBlocks();
    const guessing = createBlocks();
    const texts = Array.from({ length: SLOTS }, () => {
      const promptTokens = 1 + rng.int(100);
      const totalTokens = promptTokens + rng.int(32 * TABLE_BLOCKS - promptTokens);
      // Few ids, so that sequences begin alike.
      const ids = Int32Array.from({ length: totalTokens }, (_, i) => rng.int(i < 64 ? 2 : 50));
      const request = { ids, promptTokens, totalTokens, isExact: true };
      return { ...request, request, computed: 0 };
    });
    texts.forEach((text, slot) => {
      text.computed = plain.open(slot, text.request);
      assertEquals(guessing.open(slot, text.request), text.computed);
    });
    let left = SLOTS;
    while (left > 0) {
      left = 0;
      for (const [slot, text] of texts.entries()) {
        if (text.computed >= text.totalTokens) continue;
        left++;
        const { ids, promptTokens, totalTokens, computed } = text;
        const rows = computed < promptTokens ? promptTokens - computed : 1;
        const guesses = rng.int(Math.min(8, totalTokens - computed - rows + 1));
        const taken = rng.int(guesses + 1);
        rejected += guesses - taken;
        const wrong = Int32Array.from(ids);
        for (let i = computed + rows + taken; i < computed + rows + guesses; i++) wrong[i] = 99;
        guessing.grow(slot, computed + rows + guesses);
        for (let end = computed + rows; end <= computed + rows + taken; end++) {
          guessing.remember(slot, wrong, end, true);
          plain.grow(slot, end);
          plain.remember(slot, ids, end, true);
        }
        text.computed += rows + taken;
        assertEquals(guessing.availableBlocks, plain.availableBlocks);
        assertEquals(contents(guessing), contents(plain));
      }
    }
    for (let slot = 0; slot < SLOTS; slot++) {
      plain.close(slot);
      guessing.close(slot);
    }
    assertEquals(guessing.usedBlocks, 0);
    assertEquals(contents(guessing), contents(plain));
    assert(contents(guessing).every((each) => !each.includes("99")));
  }
  assertGreater(rejected, 1000);
});
