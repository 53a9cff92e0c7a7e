/**
 * Tests that the gate leaves out: what they look at is looked at by others, too, and in software or
 * in a browser they take minutes. `deno task test:deep` runs them and all the others.
 */

/** Whether this is `deno task test:deep`. */
export const IS_DEEP = Deno.env.get("GANGLION_TESTS") === "deep";

/**
 * Why a test is not run that is deep for this reason; null: it is, as one without a reason is.
 * @param reason who looks at the same in the gate.
 */
export function notDeep(reason: string | undefined): string | null {
  if (IS_DEEP || reason === undefined) return null;
  return `deno task test:deep runs it; ${reason}`;
}

/** A test that the gate leaves out for a reason, which its name says; without one it is run. */
export function deepTest(
  name: string,
  reason: string | undefined,
  fn: () => void | Promise<void>,
): void {
  const missing = notDeep(reason);
  if (missing === null) Deno.test(name, fn);
  else Deno.test({ name: `${name} [skipped: ${missing}]`, ignore: true, fn: () => {} });
}

/** What a test does of a list in `test:deep` only; who looks at it in the gate stands beside it. */
export function deepOnly<const T>(...items: readonly T[]): readonly T[] {
  return IS_DEEP ? items : [];
}

/**
 * Some of a list, of which `test:deep` takes all: of mistakes that a test would see, each of which
 * shows by the same numbers that the gate compares with what is right.
 */
export function someOf<T>(items: readonly T[], count = 1): readonly T[] {
  return IS_DEEP ? items : items.slice(0, count);
}
