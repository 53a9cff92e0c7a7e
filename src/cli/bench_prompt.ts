/**
 * The prompt of a benchmark, and the fingerprint of its answer: the same for every engine that is
 * measured, so that equal work can be seen to be equal. Works on token ids; knows nothing of text.
 */

/** Control tokens stand at the beginning of most vocabularies: an answer could end on them. */
const FIRST_ORDINARY_ID = 3;

/** `count` pseudo-random ids below `vocabSize`, always the same for the same seed. */
export function benchPrompt(
  { vocabSize, count, seed }: { vocabSize: number; count: number; seed: number },
): number[] {
  const first = Math.min(FIRST_ORDINARY_ID, vocabSize - 1);
  let state = Math.imul(seed, 0x9e3779b1); // neighbouring seeds start far apart
  return Array.from({ length: count }, () => {
    state = Math.imul(state, 1664525) + 1013904223; // Numerical Recipes' generator
    return first + Math.floor(((state >>> 0) / 2 ** 32) * (vocabSize - first));
  });
}

/** Hex SHA-256 of ids as little-endian u32. */
export async function hashIds(ids: readonly number[]): Promise<string> {
  const bytes = new DataView(new ArrayBuffer(ids.length * 4));
  ids.forEach((id, index) => bytes.setUint32(index * 4, id, true));
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(digest).toHex();
}
