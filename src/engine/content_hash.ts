/** A hash of what a block of keys and values holds: of its ids, and of the content before it. */
import { KV_BLOCK_POSITIONS as TOKENS } from "../memory/kv_layout.ts";

/** Of 32 ids from `at` on behind a content: 32 bits, mixed as in MurmurHash3. */
export function hashOf(before: number, ids: Int32Array, at: number): number {
  let hash = mix(mix(0, before | 0), Math.floor(before / 2 ** 32));
  for (let i = 0; i < TOKENS; i++) hash = mix(hash, ids[at + i]);
  return hash;
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const mixed = hash ^ k;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}
