/** How many tokens a GPU computes in one wait, and with how many of the next ones it goes ahead. */
import { assertEquals } from "@std/assert";
import { type Chain, Chains } from "../../src/engine/chains.ts";
import type { Chooser } from "../../src/engine/chooser.ts";
import type { Scheduler } from "../../src/engine/scheduler.ts";
import type { Sequence } from "../../src/engine/sequence.ts";
import { StepTimes } from "../../src/engine/step_times.ts";

/** Points that were asked for last. */
let foretold = 0;

const chooser: Pick<Chooser, "foretell"> = {
  foretell: (_choice, count) => {
    foretold = count;
    return true;
  },
};

/** Someone alone, who generates: `left` ids are still to come behind position 40. */
function sequenceOf(left: number, computed = 40, slot = 0) {
  const ids = Int32Array.from({ length: 200 }, (_, at) => at);
  const times = { known: computed + 1, computed, maxTokens: 100, answered: 100 - left };
  return { ...times, slot, ids, isGenerating: true, chooser };
}

/** Plans a step of one token of each. */
function planFor(chains: Chains, sequence: ReturnType<typeof sequenceOf>): void {
  const scheduler = { active: [sequence], waiting: [], sequences: [sequence], rows: [1], count: 1 };
  chains.plan(scheduler as unknown as Scheduler<Sequence>, { mayBeLong: true });
}

/** Of tokens that take so long; the ids of the last chain are 41, 42, … */
function chainsOf(tokenMs: number, { tokensMax = 16, waitMs = Infinity } = {}) {
  const times = new StepTimes(8);
  for (let i = 0; i < 8; i++) times.add(1, tokenMs);
  const choice = { temperature: 0, topK: 1, topP: 1, minP: 0, points: new Float64Array(16) };
  const chain = { tokensMax, choice, sentCount: 0, idAt: (at: number) => 41 + at };
  const own: Chain = { ...chain, tokens: 1, ahead: 0, goesOn: false };
  return { chains: new Chains(own, times, waitMs), chain: own };
}

Deno.test("Chains goes ahead with 2.5 ms of tokens, where others follow them", () => {
  const planned = (tokenMs: number, left: number, options?: Parameters<typeof chainsOf>[1]) => {
    const { chains, chain } = chainsOf(tokenMs, options);
    planFor(chains, sequenceOf(left));
    assertEquals([chain.tokens, chain.ahead], [chains.tokens, chains.ahead]);
    if (chains.tokens > 1) assertEquals(foretold, chains.tokens + chains.ahead);
    return [chains.tokens, chains.ahead];
  };
  assertEquals(planned(0.5, 60), [14, 2]);
  assertEquals(planned(2.5, 60), [15, 1]);
  // As many as come evenly, and beside them those that are ahead.
  assertEquals(planned(2.77, 60, { waitMs: 33 }), [11, 1]);
  assertEquals(planned(2.4, 60, { waitMs: 33 }), [13, 2]);
  // The last ones are one wait; what is ahead is less than what comes then.
  assertEquals(planned(0.5, 16), [16, 0]);
  assertEquals(planned(0.5, 17), [14, 2]);
  assertEquals(planned(2.77, 12, { waitMs: 33 }), [11, 0]);
  assertEquals(planned(2.77, 13, { waitMs: 33 }), [11, 1]);
  // States of few tokens have places.
  assertEquals(planned(0.5, 60, { tokensMax: 8 }), [7, 1]);
  assertEquals(planned(0.5, 60, { tokensMax: 7 }), [7, 0]);
  assertEquals(planned(40, 60, { waitMs: 33 }), [1, 0]);
});

Deno.test("Chains goes on only behind all of a chain, of the same sequence, by the same id", () => {
  const goesOn = (change: (found: ReturnType<typeof chainsOf>) => Partial<Sequence>) => {
    const found = chainsOf(0.5);
    planFor(found.chains, sequenceOf(60));
    assertEquals([found.chains.goesOn, found.chains.hasWaste], [false, false]);
    Object.assign(found.chain, { sentCount: 2 });
    planFor(found.chains, { ...sequenceOf(46, 54), ...change(found) as object });
    assertEquals(found.chain.goesOn, found.chains.goesOn);
    assertEquals(found.chains.hasWaste, found.chain.sentCount > 0 && !found.chains.goesOn);
    return found.chains.goesOn;
  };
  assertEquals(goesOn(() => ({})), true);
  assertEquals(goesOn(({ chain }) => Object.assign(chain, { sentCount: 0 }) && {}), false);
  assertEquals(goesOn(() => ({ slot: 1 })), false);
  // The id is the same by chance.
  const ids = new Int32Array(200).fill(54);
  assertEquals(goesOn(() => ({ ids })), true);
  assertEquals(goesOn(() => ({ ids, computed: 50, known: 51 })), false);
  assertEquals(goesOn(() => ({ ids: new Int32Array(200).fill(53) })), false);
  // Two tokens are there: nobody would bring their ids.
  assertEquals(goesOn(() => ({ answered: 98 })), false);
  assertEquals(goesOn(() => ({ answered: 97 })), true);
  assertEquals(goesOn(({ chains }) => chains.single() ?? {}), false);
});
