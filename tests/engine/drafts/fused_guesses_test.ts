/**
 * What a model guesses behind a text with another one's rows, against formulas: the rows that steps
 * leave come to it, wrong guesses are written over, texts that it follows in pieces are one text to
 * it, and a text that begins like another one goes on with what was computed for that.
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import { Drafts } from "../../../src/engine/drafts/drafts.ts";
import { FusedGuesses } from "../../../src/engine/drafts/fused_guesses.ts";
import { StepRunner } from "../../../src/engine/step_runner.ts";
import { openGguf } from "../../../src/gguf/mod.ts";
import { STEP_KIND_FORWARD } from "../../../src/memory/control_layout.ts";
import { describeFused, describeModel } from "../../../src/model/mod.ts";
import { ReferenceFusion } from "../../../src/reference/fusion.ts";
import { nmse } from "../../support/compare.ts";
import { withFile, withTinyFile } from "../../support/loaded_model.ts";
import { openRunner } from "../../support/poisoned_rank.ts";
import { tinyEagle } from "../../support/tiny_eagle.ts";
import { TINY_PROMPT } from "../../support/tiny_model.ts";

const CONTEXT = 64;
const TOKENS = Array.from({ length: 300 }, (_, i) => (i * 37 + 5) % 512);

/**
 * The likeliest ids behind a text, one behind the other, by formulas, and the logits that the last
 * one is of. spoiled: at this place the row is of another id than the text's.
 */
function guessesOf(
  { path, draftPath }: { readonly path: string; readonly draftPath: string },
  ids: readonly number[],
  count: number,
  spoiled?: { readonly at: number; readonly id: number },
): { readonly ids: number[]; readonly logits: Float32Array } {
  const reference = new ReferenceFusion(openGguf(path), openGguf(draftPath));
  const { embeddingLength: d, vocabSize } = reference.description.config;
  const { rows } = reference.forward(ids.slice(0, -1));
  const next = ids.slice(1);
  if (spoiled !== undefined) next[spoiled.at] = spoiled.id;
  let made = reference.guess(next, 0, reference.fuse(rows));
  const guesses: number[] = [];
  for (;;) {
    const logits = made.logits.slice(-vocabSize);
    guesses.push(TOKENS[logits.indexOf(Math.max(...logits))]);
    if (guesses.length === count) return { ids: guesses, logits };
    const position = ids.length - 2 + guesses.length;
    made = reference.guess(guesses.slice(-1), position, made.rows.slice(-d));
  }
}

/** A model and one that guesses for it, with texts in two slots that share blocks. */
async function opened(path: string, draftPath: string) {
  const file = openGguf(path), model = describeModel(file);
  const beside = describeFused(openGguf(draftPath), { file, config: model.config }, CONTEXT);
  const options = { contextLength: CONTEXT, sequences: 2 };
  const { runner, draft } = await openRunner({ file, model }, options, { poisons: true }, beside);
  assert(draft !== undefined);
  const steps = new StepRunner(runner), guesses = steps.beside = new StepRunner(draft);
  const grown: number[] = [];
  const fused = new FusedGuesses(guesses, (_, positions) => grown.push(positions));
  const textOf = (slot: number, known: number) => {
    const ids = new Int32Array(CONTEXT);
    ids.set(TINY_PROMPT.slice(0, 40));
    const text = { slot, ids, known };
    return {
      text,
      compute(from: number, rows: number) {
        steps.begin(STEP_KIND_FORWARD);
        steps.add({ slot, ids, spans: [] }, from, rows, 1);
        assertEquals(steps.run(), true);
      },
      propose(most: number) {
        const drafts = new Drafts();
        fused.propose(text, most, drafts);
        return [...drafts.ids.subarray(0, drafts.count)];
      },
    };
  };
  const close = () => runner.control.publishExit();
  return { steps, guesses, fused, grown, textOf, close };
}

Deno.test("FusedGuesses.propose() guesses what formulas do, of texts that it follows in pieces", () =>
  withTinyFile({}, (path) =>
    withFile(tinyEagle({ tokens: TOKENS }), async (draftPath) => {
      const paths = { path, draftPath };
      const { steps, guesses, fused, grown, textOf, close } = await opened(path, draftPath);
      for (let i = 0; i < 2; i++) steps.setBlock(1, i, 2 - i);
      const { text, compute, propose } = textOf(1, 36);
      const isRight = (most: number) => {
        const right = guessesOf(paths, [...text.ids.subarray(0, text.known)], most);
        assertEquals(propose(most), right.ids);
        // The likeliest id may be the same of a row in another place.
        assertLess(nmse(guesses.gatherRow(0), right.logits), 1e-10);
      };
      fused.open(1, 0);
      compute(0, 24);
      fused.follow(text, 10);
      assertEquals(grown, [], "little is left for later");
      fused.follow(text, 24);
      assertEquals(grown, [24], "no more than there are rows");
      compute(24, 11);
      isRight(1);
      isRight(3);
      // Other ids come than were guessed; the step had computed some of the guesses.
      text.ids.set([7, 7, 7], 36);
      compute(35, 4);
      text.ids.set(TINY_PROMPT.slice(36, 40), 36);
      compute(35, 3);
      text.known = 38;
      isRight(2);
      isRight(1);
      close();
    })));

Deno.test("FusedGuesses.open() goes on behind what was computed for a text that begins alike", () =>
  withTinyFile({}, (path) =>
    withFile(tinyEagle({ tokens: TOKENS }), async (draftPath) => {
      const { steps, fused, textOf, close } = await opened(path, draftPath);
      for (const [slot, blocks] of [[0, [0, 1]], [1, [0, 2]]] as const) {
        blocks.forEach((block, i) => steps.setBlock(slot, i, block));
      }
      const first = textOf(0, 40);
      fused.open(0, 0);
      first.compute(0, 20);
      fused.follow(first.text, 20);
      first.compute(20, 19);
      first.propose(1);
      // Of the last row of the block that they share the next id is the first text's.
      const other = textOf(1, 36);
      other.text.ids.set([9, 8, 300, 44], 32);
      fused.open(1, 32);
      other.compute(32, 3);
      const ids = [...other.text.ids.subarray(0, 36)];
      const spoiled = { at: 31, id: TINY_PROMPT[32] };
      assertEquals(other.propose(3), guessesOf({ path, draftPath }, ids, 3, spoiled).ids);
      close();
    })));

Deno.test("FusedGuesses.follow() comes up to a text of which a step was not followed", () =>
  withTinyFile({}, (path) =>
    withFile(tinyEagle(), async (draftPath) => {
      const { steps, fused, grown, textOf, close } = await opened(path, draftPath);
      for (let i = 0; i < 2; i++) steps.setBlock(0, i, i);
      const { text, compute } = textOf(0, 60);
      fused.open(0, 0);
      compute(0, 24);
      // Where no cancel may end a step, nobody is told of it.
      compute(24, 24);
      fused.follow(text, 48);
      assertEquals(grown, [24, 48], "rows that are left behind would be lost step by step");
      close();
    })));

Deno.test("FusedGuesses.follow() needs the id behind a row, and open() forgets a slot's rows", () =>
  withTinyFile({}, (path) =>
    withFile(tinyEagle(), async (draftPath) => {
      const { steps, guesses, fused, grown, textOf, close } = await opened(path, draftPath);
      steps.setBlock(1, 0, 0);
      const { text, compute } = textOf(1, 24);
      const { kept } = guesses.runner;
      const hasRow = (position: number) => {
        const row = new Float32Array(3 * 64);
        kept!.use(0, 1, position);
        kept!.put(0, row, 0);
        return row.some((value) => value !== 0);
      };
      fused.open(1, 0);
      compute(0, 24);
      fused.follow(text, 24);
      assertEquals(grown, [23], "of the last id nobody knows what comes behind it");
      assert(hasRow(0) && hasRow(23));
      fused.open(1, 0);
      for (let position = 0; position < 24; position++) assert(!hasRow(position));
      close();
    })));
