/**
 * Tests that the gate leaves out: what they look at is looked at by others, too, and in software or
 * in a browser they take minutes. `deno task test:deep` runs them and all the others.
 */
const IS_DEEP = Deno.env.get("GANGLION_TESTS") === "deep";

/** Why a deep test is not run; null: it is. */
export const notDeep: string | null = IS_DEEP ? null : "deep: deno task test:deep";
