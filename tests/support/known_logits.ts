/** What the reference makes of a file and ids is asked for by several tests, and computed once. */
import { createHash } from "node:crypto";
import { openGguf } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";

/** By all that is in the file, and the ids. */
const known = new Map<string, Float32Array>();

/** The reference's logits of every position, [ids, vocab]; whoever changes them takes a copy. */
export function exactLogits(path: string, ids: readonly number[]): Float32Array {
  const key = createHash("sha256").update(Deno.readFileSync(path)).update(`${ids}`).digest("hex");
  const logits = known.get(key) ?? new ReferenceModel(openGguf(path)).forward(ids);
  known.set(key, logits);
  return logits;
}
