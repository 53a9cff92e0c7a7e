/** CRC-32, as zlib, PNG and gzip have it. */
import type { crc32 as Crc32 } from "node:zlib";

let ofZlib: typeof Crc32 | undefined;

/**
 * The sum of `bytes` behind others whose sum was `before`. zlib is loaded by the first call: that
 * takes 20 ms of a thread's start, and most threads never sum.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  // deno-lint-ignore no-process-global -- importing node:process is loading, too.
  ofZlib ??= process.getBuiltinModule("node:zlib").crc32;
  return ofZlib(bytes, before);
}
