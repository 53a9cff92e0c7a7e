/**
 * Tests that the gate leaves out: what they look at is looked at by others, too, and in software or
 * in a browser they take minutes. `deno task test:deep` runs them and all the others.
 */
const IS_DEEP = Deno.env.get("GANGLION_TESTS") === "deep";

/**
 * Why a test is not run that is deep for this reason; null: it is, as one without a reason is.
 * @param reason who looks at the same in the gate.
 */
export function notDeep(reason: string | undefined): string | null {
  if (IS_DEEP || reason === undefined) return null;
  return `deno task test:deep runs it; ${reason}`;
}
