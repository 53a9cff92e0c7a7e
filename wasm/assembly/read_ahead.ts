// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Rows are fetched before they are computed with: WebAssembly has no prefetch, but a load whose
 * value nobody waits for is one. A Zen 4 waits at pages otherwise, whatever its own prefetchers do;
 * others are no slower, and where four rows are fastest they are read as they are (NOTES.md). What
 * was read is stored somewhere in the end, lest a compiler finds that nobody wants it.
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

/**
 * Reads a word of each line of bytes at w, eight parts side by side: misses that are waited for
 * together, and streams that the prefetcher follows. What is left at the end is not read.
 */
export function fetch_block(w: usize, bytes: u32): u32 {
  const part = (bytes >> 3) & ~(LINE_BYTES - 1), half = w + 4 * part;
  let seen: u32 = 0;
  for (let at: u32 = 0; at < part; at += LINE_BYTES) {
    const a = w + at, b = half + at;
    seen |= load<u32>(a) | load<u32>(a + part) | load<u32>(a + 2 * part) | load<u32>(a + 3 * part);
    seen |= load<u32>(b) | load<u32>(b + part) | load<u32>(b + 2 * part) | load<u32>(b + 3 * part);
  }
  return seen;
}
