/**
 * Models whose layers keep states: what is remembered of a text, and where others go on behind it;
 * what a step that does not count leaves; what is refused.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import type { Sequence } from "../../src/engine/sequence.ts";
import { SequenceStates } from "../../src/engine/sequence_states.ts";
import { StatePlaces } from "../../src/engine/state_places.ts";
import type { StepRunner } from "../../src/engine/step_runner.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { ask, request, text } from "../support/state_texts.ts";

const FORM = { architecture: "granitehybrid", type: "Q8_0", contextLength: 400 } as const;

/** What the model answers with nothing before it. */
async function fresh(path: string, prompts: readonly (readonly number[])[], maxTokens = 8) {
  const answers: (readonly number[])[] = [];
  for (const prompt of prompts) {
    const heard = await withModel(path, { threads: 2 }, (model) => ask(model, prompt, maxTokens));
    answers.push(heard.answer);
  }
  return answers;
}

Deno.test("a text that goes on is computed from the state behind its last whole block", () =>
  withTinyFile(FORM, async (path) => {
    const first = text(100);
    const [answer] = await fresh(path, [first], 50);
    // Behind the prompt, and behind the answer: 149 ids have their keys and values.
    const longer = [...first, 5, 6, 7];
    const whole = [...first, ...answer, 8, 9];
    const expected = await fresh(path, [first, longer, whole]);
    await withModel(path, { threads: 2 }, async (model) => {
      assertEquals((await ask(model, first, 50)).answer, answer);
      assertEquals(await ask(model, first), { answer: expected[0], cached: 96 });
      assertEquals(await ask(model, longer), { answer: expected[1], cached: 96 });
      assertEquals(await ask(model, whole), { answer: expected[2], cached: 128 });
    });
  }));

Deno.test("texts with one beginning go on behind it as soon as two have begun so", () =>
  withTinyFile(FORM, async (path) => {
    const common = text(140);
    const prompts = [2, 3, 4].map((seed) => [...common, ...text(60, seed)]);
    const expected = await fresh(path, prompts);
    await withModel(path, { threads: 2 }, async (model) => {
      const heard = [];
      for (const prompt of prompts) heard.push(await ask(model, prompt));
      assertEquals(heard.map(({ answer }) => answer), expected);
      // The second one shows where they part, and leaves a state there.
      assertEquals(heard.map(({ cached }) => cached), [0, 0, 128]);
    });
  }));

Deno.test("prompts with one beginning that come at once wait for its state", () =>
  withTinyFile(FORM, async (path) => {
    const common = text(140);
    const prompts = [2, 3, 4].map((seed) => [...common, ...text(60, seed)]);
    const expected = await fresh(path, prompts);
    await withModel(path, { threads: 2, parallel: 3 }, async (model) => {
      const results = await Promise.all(prompts.map((ids) => model.generate(request(ids)).result));
      assertEquals(results.map(({ ids }) => ids), expected);
      assertEquals(results.map(({ timings }) => timings.cachedTokens), [0, 128, 128]);
    });
  }));

Deno.test("more texts than there is room for states are answered as if they were alone", () =>
  withTinyFile(FORM, async (path) => {
    const prompts = Array.from({ length: 12 }, (_, i) => text(70 + i, i + 2));
    const expected = await fresh(path, prompts.slice(0, 2));
    await withModel(path, { threads: 2 }, async (model) => {
      for (const prompt of prompts) await ask(model, prompt, 40);
      // Six places: the first text's states are gone, the last one's are not.
      assertEquals(await ask(model, prompts[0]), { answer: expected[0], cached: 0 });
      assertEquals((await ask(model, prompts[11])).cached, 64);
      assertEquals((await ask(model, prompts[1])).answer, expected[1]);
    });
  }));

Deno.test("who leaves in the middle of a step changes no state of the others", () =>
  withTinyFile({ ...FORM, blockCount: 4 }, async (path) => {
    const prompts = [text(90), text(120, 3)];
    const expected = await fresh(path, prompts, 60);
    await withModel(path, { threads: 2, parallel: 3 }, async (model) => {
      for (let round = 0; round < 3; round++) {
        const others = prompts.map((ids) => model.generate(request(ids, 60)));
        const leaving = Array.from({ length: 6 }, async (_, i) => {
          const abort = new AbortController();
          const own = request(text(150, 5 + i + 6 * round), 100);
          const generation = model.generate({ ...own, signal: abort.signal });
          for await (const _ of generation) break;
          abort.abort();
          await generation.result.catch(() => {});
        });
        const results = await Promise.all(others.map(({ result }) => result));
        await Promise.all(leaving);
        assertEquals(results.map(({ ids }) => ids), expected);
      }
      assertEquals(model.kv.usedTokens, 0);
    });
  }));

Deno.test("loadModel() refuses guesses of another model where states cannot go back", () =>
  withTinyFile(FORM, async (path) => {
    await assertRejects(
      () => withModel(path, { draftModelPath: path }, async () => {}),
      UnsupportedModelError,
      "layers of the model that it is for keep states of the text",
    );
    await withTinyFile({ type: "Q8_0", contextLength: 400 }, async (plain) => {
      await assertRejects(
        () => withModel(plain, { draftModelPath: path }, async () => {}),
        UnsupportedModelError,
        "its layers keep states of the text",
      );
    });
  }));

Deno.test("generate() answers the same where guesses are asked for: there are none", () =>
  withTinyFile({ ...FORM, architecture: "mamba" }, async (path) => {
    const ids = [...text(20), ...text(20), ...text(20)];
    const [expected] = await fresh(path, [ids], 30);
    await withModel(path, { threads: 2, speculate: "auto" }, async (model) => {
      const { ids: answer, timings } = await model.generate(request(ids, 30)).result;
      assertEquals(answer, expected);
      assert(timings.draftedTokens === undefined);
    });
  }));

Deno.test("SequenceStates.add() cuts a step at its first two borders, and at each guess", () => {
  const places = new StatePlaces(12);
  const states = new SequenceStates({ contentBefore: (_, position) => position }, places, 1);
  const cuts: number[][] = [];
  const add: StepRunner["add"] = (_, from, rows, logits, segment) =>
    cuts.push([from, rows, logits, segment!.from, segment!.to]);
  const sequence = { slot: 0, promptTokens: 170, known: 170, computed: 0, isExact: true };
  const take = (rows: number, logits: number, counts: number) => {
    cuts.length = 0;
    states.add({ add, chain: null }, sequence as Sequence, rows, logits);
    sequence.computed += counts;
    states.keep(sequence as Sequence);
    states.drop();
    return [...cuts];
  };
  states.open(sequence as Sequence, 0, 64);
  states.want(0, 130);
  states.want(0, 40);
  // Wanted are 160, 64, 128 and 32: the first two of them, whatever the order.
  assertEquals(take(170, 1, 170), [[0, 32, 0, -1, 0], [32, 32, 0, 0, 1], [64, 106, 1, 1, 2]]);
  assertEquals([places.remembered, places.find(32, true), places.find(64, true)], [2, 0, 1]);
  // Of three guesses one is right: the sequence goes on with the state behind it.
  sequence.known = 171;
  const [own, ...guesses] = take(4, 4, 2);
  assertEquals(own.slice(0, 4), [170, 1, 1, 2]);
  assertEquals(guesses.map((cut) => cut.slice(0, 3)), [[171, 1, 1], [172, 1, 1], [173, 1, 1]]);
  assertEquals(guesses[0][3], own[4]);
  sequence.known = 173;
  assertEquals(take(1, 1, 1).map((cut) => cut.slice(0, 4)), [[172, 1, 1, guesses[0][4]]]);
  // A place that the sequence has, two that are remembered.
  assertEquals(places.available, 12 - 1);
});
