/**
 * Work in steps of some milliseconds, as generators: who has nothing else to do takes them at once
 * (`runSteps`), a thread that others need lets them have their turns between two (`inTurns`).
 */
import { Turns } from "./turns.ts";

/** Work whose last step has what it makes. */
export type Steps<T> = Generator<void, T>;

/** Takes all steps at once. */
export function runSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/**
 * Takes steps, with turns for others between them.
 * @throws what a step throws, and the signal's reason when it was aborted meanwhile.
 */
export async function inTurns<T>(
  steps: Steps<T>,
  by: AbortSignal | Turns | undefined,
): Promise<T> {
  const turns = by instanceof Turns ? by : new Turns(by);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (turns.isDue()) await turns.give();
  }
}

/** What the steps of each item make, in order. */
export function* mapSteps<T, U>(items: readonly T[], make: (item: T) => Steps<U>): Steps<U[]> {
  const made: U[] = [];
  for (const item of items) {
    made.push(yield* make(item));
    yield;
  }
  return made;
}

/** Entries of a vocabulary, or other items of microseconds, that are one step. */
const STEP_ENTRIES = 1 << 12;

/** Whether a step ends before the item with this index: those of some milliseconds do. */
export function isStepEnd(index: number): boolean {
  return index % STEP_ENTRIES === STEP_ENTRIES - 1;
}

/** Items that are copied in a millisecond. */
const STEP_ITEMS = 1 << 16;

/** Appends `items` to `out`, however many there are. */
export function* appendSteps<T>(items: readonly T[], out: T[]): Steps<void> {
  for (let i = 0; i < items.length; i++) {
    if (i % STEP_ITEMS === STEP_ITEMS - 1) yield;
    out.push(items[i]);
  }
}
