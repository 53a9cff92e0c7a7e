/** Boxes of MP4 (ISO/IEC 14496-12, 4.2): what is in them is known by others. */

export interface Box {
  /** Four letters. */
  readonly name: string;
  /** Where it begins, its head included. */
  readonly at: number;
  /** What is in it. */
  readonly data: DataView;
}

export type Damaged = (what: string) => Error;

const HEAD_BYTES = 8;
const LONG_HEAD_BYTES = 16;

/** Next to each other: ten minutes in fragments of a packet each have half as many. */
const BOXES_MAX = 100_000;

/** Those next to each other in a part of a file. */
export function* boxesIn(data: DataView, damaged: Damaged): Generator<Box> {
  for (let at = 0, count = 0; at + HEAD_BYTES <= data.byteLength;) {
    if (++count > BOXES_MAX) throw damaged("it has more than 100,000 boxes in one place");
    const place = data.byteOffset + at, left = data.byteLength - at;
    const told = data.getUint32(at);
    const isLong = told === 1 && left >= LONG_HEAD_BYTES;
    const head = isLong ? LONG_HEAD_BYTES : HEAD_BYTES;
    // 0: to the end.
    const size = isLong ? longAt(data, at + HEAD_BYTES) : told === 0 ? left : told;
    if (size < head) throw damaged(`there is no box at byte ${place}`);
    if (size > left) throw damaged(`it ends within the box at byte ${place}`);
    const name = nameAt(data, at + 4);
    yield { name, at: place, data: part(data, at + head, at + size) };
    at += size;
  }
}

/** The first of a name, and in it the first of the next; undefined: there is none. */
export function find(data: DataView, names: readonly string[], damaged: Damaged) {
  let found: DataView | undefined = data;
  for (const name of names) {
    if (found === undefined) return undefined;
    found = boxesIn(found, damaged).find((box) => box.name === name)?.data;
  }
  return found;
}

/** 64 bits as a number; beyond 2^53 it is rounded, which no file is as long as. */
export function longAt(data: DataView, at: number): number {
  return data.getUint32(at) * 2 ** 32 + data.getUint32(at + 4);
}

export function nameAt(data: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => data.getUint8(at + i)));
}

/** From one byte to before another one. */
export function part(data: DataView, from: number, to = data.byteLength): DataView {
  return new DataView(data.buffer, data.byteOffset + from, to - from);
}
