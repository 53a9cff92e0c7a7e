/** RowGuesses by itself: which rows it reads, which it reads again, and what it says that takes. */
import { assertEquals } from "@std/assert";
import { type DraftedText, Drafts } from "../../../src/engine/drafts/drafts.ts";
import { RowGuesses } from "../../../src/engine/drafts/row_guesses.ts";
import type { StepRunner } from "../../../src/engine/step_runner.ts";

const CHUNK = 8;
const KNOWN = 30;

/** Its steps take 10 ms and 1 for each row; what it guesses is always 2. */
class Recorded extends RowGuesses {
  readonly said: string[] = [];

  constructor(ahead: number, clock: { ms: number }) {
    let rows = 0;
    const steps = {
      runner: {
        plan: { contextLength: 64, chunkTokens: CHUNK, sequences: 1 },
        kept: { tokens: null, clear: () => {} },
      },
      board: {
        ...{ vocabSize: 4, ids: Int32Array.of(2, 1), scores: Float32Array.of(0, 1, 9, 0) },
        keepLargest: () => 2,
      },
      addAt: (_slot: number, _from: number, count: number) => rows = count,
      run: () => (clock.ms += 10 + rows, true),
      takeRow: () => {},
    };
    super(steps as unknown as StepRunner, () => {}, ahead);
  }

  protected override begin(_text: DraftedText, from: number, end: number): void {
    this.said.push(`reads ${from} to ${end}`);
  }

  protected override beginBehind(_text: DraftedText, from: number, guess: number): void {
    this.said.push(`guesses ${from} of ${guess}`);
  }

  protected override keepLast(_slot: number, position: number, row: number): void {
    this.said.push(`keeps ${position}, row ${row}`);
  }

  /** What was said of guesses for a text of so many ids. */
  guess(known: number, most: number): string[] {
    this.said.length = 0;
    this.propose(textOf(known), most, new Drafts());
    return [...this.said];
  }
}

function textOf(known: number): DraftedText {
  return { slot: 0, ids: new Int32Array(64), known };
}

/** With a clock that steps alone move on. */
function withGuesses(ahead: number, use: (guesses: Recorded) => void): void {
  const { now } = performance;
  const clock = { ms: 1 };
  performance.now = () => clock.ms;
  try {
    use(new Recorded(ahead, clock));
  } finally {
    performance.now = now;
  }
}

for (const ahead of [0, 1]) {
  Deno.test(`RowGuesses.propose() reads rows of wrong guesses again, ${ahead} ahead`, () =>
    withGuesses(ahead, (guesses) => {
      const end = KNOWN - ahead;
      guesses.open(0, end - 3);
      assertEquals(guesses.guess(KNOWN, 3), [
        ...[`reads ${end - 3} to ${end}`, `keeps ${end - 1}, row 2`],
        ...[`guesses ${end} of 2`, `keeps ${end}, row 0`],
        ...[`guesses ${end + 1} of 2`, `keeps ${end + 1}, row 0`],
      ]);
      const more = [`reads ${end} to ${end + 2}`, `keeps ${end + 1}, row 1`];
      assertEquals(guesses.guess(KNOWN + 2, 1), more, "rows of guesses do not count");
      const again = [`reads ${end + 1} to ${end + 2}`, `keeps ${end + 1}, row 0`];
      assertEquals(guesses.guess(KNOWN + 2, 1), again, "the last row's logits are not there");
    }));

  Deno.test(`RowGuesses.costMs() is of the rows that it lacks and of guesses, ${ahead} ahead`, () =>
    withGuesses(ahead, (guesses) => {
      const end = KNOWN - ahead, text = textOf(KNOWN);
      guesses.open(0, end - 3);
      assertEquals(guesses.costMs(text, 2), 0, "nobody knows yet");
      for (let rows = 1; rows <= CHUNK; rows++) {
        guesses.open(0, end - rows);
        guesses.guess(KNOWN, 1);
      }
      assertEquals(guesses.guessMs, 11);
      const cost = (missing: number, count: number) => {
        guesses.open(0, end - missing);
        return guesses.costMs(text, count);
      };
      assertEquals([cost(3, 1), cost(3, 3)], [13, 13 + 2 * 11], "the first one is the rows' own");
      assertEquals(cost(1, 1), 11);
      assertEquals(cost(0, 1), 11, "the last row is read again");
      assertEquals(cost(20, 1), 18, "no more than a step has");
    }));
}
