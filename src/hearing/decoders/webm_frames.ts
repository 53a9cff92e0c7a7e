/** Frames of a block of Matroska: one, or several laced together (RFC 9559, 10). */
import { readVint } from "./ebml.ts";

/** Behind the track's number: when it begins, and marks. */
const HEAD_BYTES = 3;
const LACING = { none: 0, xiph: 1, fixed: 2, ebml: 3 } as const;

/** Those of a block of that track; of another one none. */
export function frames(
  block: Uint8Array,
  track: number,
  damaged: (what: string) => Error,
): Uint8Array[] {
  const number = readVint(block, 0);
  if (number === null || number.bytes + HEAD_BYTES > block.length) {
    throw damaged("a block of it has no head");
  }
  if (number.value !== track) return [];
  const lacing = block[number.bytes + HEAD_BYTES - 1] >> 1 & 3;
  const rest = block.subarray(number.bytes + HEAD_BYTES);
  if (lacing === LACING.none) return [rest];
  const count = 1 + (rest[0] ?? 0);
  const { sizes, bytes } = readSizes(rest, count, lacing);
  const all = rest.length - bytes;
  const last = all - sizes.reduce((sum, size) => sum + size, 0);
  if (!(last >= 0) || sizes.some((size) => size < 0 || !Number.isInteger(size))) {
    throw damaged("frames of a block are longer than it is");
  }
  let at = bytes;
  return [...sizes, last].map((size) => rest.subarray(at, at += size));
}

/** Sizes of all but the last frame, and the bytes before the first one. */
function readSizes(rest: Uint8Array, count: number, lacing: number) {
  const sizes: number[] = [];
  let at = 1;
  if (lacing === LACING.fixed) {
    return { sizes: Array<number>(count - 1).fill((rest.length - 1) / count), bytes: 1 };
  }
  while (sizes.length < count - 1) {
    if (lacing === LACING.xiph) {
      let size = 0;
      while (rest[at] === 255) size += rest[at++];
      sizes.push(size + (rest[at++] ?? NaN));
      continue;
    }
    const read = readVint(rest, at);
    if (read === null) return { sizes: [NaN], bytes: at };
    // Behind the first one: how much more, or less, than the one before.
    const middle = 2 ** (7 * read.bytes - 1) - 1;
    const before = sizes.at(-1);
    sizes.push(before === undefined ? read.value : before + read.value - middle);
    at += read.bytes;
  }
  return { sizes, bytes: at };
}
