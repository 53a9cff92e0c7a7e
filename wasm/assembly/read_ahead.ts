// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Rows are fetched before they are computed with: WebAssembly has no prefetch, but a load whose
 * value nobody waits for is one. AMD's processors wait at pages and strips of factors otherwise,
 * whatever their own prefetchers do; Intel's are no slower (NOTES.md). What was read is stored
 * somewhere in the end, lest a compiler finds that nobody wants it.
 */

/** What processors fetch at once. */
export const LINE_BYTES: u32 = 64;

/** So far ahead of what is computed with: 512 is as fast, 1,280 slower. */
const REACH_BYTES: u32 = 768;

/** How far to read ahead of a row, the first of `left` of a stream: not beyond their end. */
@inline
export function reach_of(rowStride: u32, left: u32): u32 {
  return (left - 1) * rowStride >= REACH_BYTES + LINE_BYTES ? REACH_BYTES : 0;
}
