/** Where the packets of a track lie in an MP4 (ISO/IEC 14496-12, 8.6 to 8.8). Knows no codings. */
import { boxesIn, type Damaged, find, longAt } from "./mp4_boxes.ts";

/** Tables of numbers of 32 bits: marks, how many rows, and the rows. */
interface Table {
  readonly rows: number;
  /** A row's number, by its place in the row. */
  readonly at: (row: number, column?: number) => number;
}

/**
 * Packets of a table of samples (`stbl`), in their order.
 * @throws {Error} `damaged`, also while they are gone through, where one is not in the file.
 */
export function* tablePackets(
  file: DataView,
  table: DataView,
  damaged: Damaged,
): Generator<Uint8Array> {
  const take = taker(file, damaged);
  const sizes = find(table, ["stsz"], damaged);
  if (sizes === undefined || sizes.byteLength < 12) {
    throw damaged("it does not say how long its packets are");
  }
  const same = sizes.getUint32(4), count = sizes.getUint32(8);
  if (same === 0 && 12 + 4 * count > sizes.byteLength) {
    throw damaged(`it has fewer sizes than its ${count} packets`);
  }
  const runs = readTable(find(table, ["stsc"], damaged), 3, damaged);
  const long = find(table, ["co64"], damaged);
  const chunks = readTable(long ?? find(table, ["stco"], damaged), long ? 2 : 1, damaged);
  let packet = 0, run = -1;
  for (let chunk = 0; chunk < chunks.rows && packet < count; chunk++) {
    while (run + 1 < runs.rows && runs.at(run + 1) <= chunk + 1) run++;
    if (run < 0) break;
    if (runs.at(run, 2) > 1) throw damaged("its sound changes how it is coded");
    let at = long ? chunks.at(chunk) * 2 ** 32 + chunks.at(chunk, 1) : chunks.at(chunk);
    const end = Math.min(count, packet + runs.at(run, 1));
    for (; packet < end; packet++) {
      const bytes = same > 0 ? same : sizes.getUint32(12 + 4 * packet);
      yield take(at, bytes);
      at += bytes;
    }
  }
  if (packet < count) throw damaged(`it ends ${count - packet} packets before its sound does`);
}

/** Packets of fragments (`moof`), where a file has them: recorders do not know the end yet. */
export function* fragmentPackets(
  file: DataView,
  { track, movie }: { readonly track: number; readonly movie: DataView },
  damaged: Damaged,
): Generator<Uint8Array> {
  const take = taker(file, damaged);
  const usual = usualSizes(movie, damaged);
  for (const { name, at: place, data: moof } of boxesIn(file, damaged)) {
    if (name !== "moof") continue;
    const begin = place - file.byteOffset;
    // What does not say where it is lies behind what was before it, of whichever track.
    let at = begin;
    for (const { name, data: fragment } of boxesIn(moof, damaged)) {
      if (name !== "traf") continue;
      const own = readHead(find(fragment, ["tfhd"], damaged), { begin, usual, damaged });
      const base = at = own.base ?? at;
      for (const { name, data } of boxesIn(fragment, damaged)) {
        if (name !== "trun") continue;
        const run = readRun(data, own.size, damaged);
        if (run.offset !== null) at = base + run.offset;
        if (own.track !== track) at += bytesOf(run);
        else {
          for (let i = 0; i < run.count; i++) {
            yield take(at, run.sizeOf(i));
            at += run.sizeOf(i);
          }
        }
      }
    }
  }
}

/** Together packets have no more bytes than the file: others would take for ever. */
function taker(file: DataView, damaged: Damaged): (at: number, bytes: number) => Uint8Array {
  let left = file.byteLength;
  return (at, bytes) => {
    if (bytes === 0) throw damaged("a packet of it has no bytes");
    if (at < 0 || at + bytes > file.byteLength) {
      throw damaged(`it ends before the packet at byte ${at} does`);
    }
    left -= bytes;
    if (left < 0) throw damaged("its packets have more bytes than it has");
    return new Uint8Array(file.buffer, file.byteOffset + at, bytes);
  };
}

function readTable(data: DataView | undefined, columns: number, damaged: Damaged): Table {
  const rows = data === undefined || data.byteLength < 8 ? -1 : data.getUint32(4);
  if (data === undefined || rows < 0 || 8 + 4 * columns * rows > data.byteLength) {
    throw damaged("it does not say where its packets are");
  }
  return { rows, at: (row, column = 0) => data.getUint32(8 + 4 * (columns * row + column)) };
}

/** By track, the size of its packets where their fragment does not say. */
function usualSizes(movie: DataView, damaged: Damaged): ReadonlyMap<number, number> {
  const sizes = new Map<number, number>();
  const extended = find(movie, ["mvex"], damaged);
  if (extended === undefined) return sizes;
  for (const { name, data } of boxesIn(extended, damaged)) {
    if (name === "trex" && data.byteLength >= 24) sizes.set(data.getUint32(4), data.getUint32(16));
  }
  return sizes;
}

/** Marks of a fragment's head, each of a field that is there. */
const HAS_BASE = 1, HAS_DESCRIPTION = 2, HAS_DURATION = 8, HAS_SIZE = 16, IS_FROM_HERE = 0x20000;

/** base: where its data is counted from; null: it does not say. size: of a packet, usually. */
function readHead(
  head: DataView | undefined,
  { begin, usual, damaged }: {
    readonly begin: number;
    readonly usual: ReadonlyMap<number, number>;
    readonly damaged: Damaged;
  },
): { readonly track: number; readonly base: number | null; readonly size: number } {
  if (head === undefined || head.byteLength < 8) throw damaged("a fragment of it has no head");
  const marks = head.getUint32(0) & 0xffffff;
  const has = (mark: number) => (marks & mark) !== 0;
  const sizeAt = 8 + (has(HAS_BASE) ? 8 : 0) + (has(HAS_DESCRIPTION) ? 4 : 0) +
    (has(HAS_DURATION) ? 4 : 0);
  if (head.byteLength < sizeAt + (has(HAS_SIZE) ? 4 : 0)) {
    throw damaged("a fragment of it has no whole head");
  }
  const base = has(HAS_BASE) ? longAt(head, 8) : has(IS_FROM_HERE) ? begin : null;
  const track = head.getUint32(4);
  return { track, base, size: has(HAS_SIZE) ? head.getUint32(sizeAt) : usual.get(track) ?? 0 };
}

/** Marks of a run: fields of all of it, then those of each packet. */
const HAS_OFFSET = 1, HAS_FIRST = 4, HAS_OWN_SIZE = 0x200;
const ROW_MARKS = [0x100, HAS_OWN_SIZE, 0x400, 0x800];

/** Packets one behind the other. */
interface Run {
  /** Where they begin, from the fragment's base on; null: behind what was before them. */
  readonly offset: number | null;
  readonly count: number;
  /** Of all packets; null: each has its own. */
  readonly size: number | null;
  readonly sizeOf: (packet: number) => number;
}

function readRun(run: DataView, usual: number, damaged: Damaged): Run {
  const short = () => damaged("a fragment of it has a run that is not whole");
  if (run.byteLength < 8) throw short();
  const marks = run.getUint32(0) & 0xffffff, count = run.getUint32(4);
  const has = (mark: number) => (marks & mark) !== 0;
  const rowBytes = 4 * ROW_MARKS.filter(has).length;
  const from = 8 + (has(HAS_OFFSET) ? 4 : 0) + (has(HAS_FIRST) ? 4 : 0);
  if (from + rowBytes * count > run.byteLength) throw short();
  const sizeAt = from + (has(ROW_MARKS[0]) ? 4 : 0);
  const size = has(HAS_OWN_SIZE) ? null : usual;
  const sizeOf = (packet: number) => size ?? run.getUint32(sizeAt + packet * rowBytes);
  return { offset: has(HAS_OFFSET) ? run.getInt32(8) : null, count, size, sizeOf };
}

/** A run of one size may say that it has billions of packets. */
function bytesOf({ count, size, sizeOf }: Run): number {
  if (size !== null) return count * size;
  let bytes = 0;
  for (let packet = 0; packet < count; packet++) bytes += sizeOf(packet);
  return bytes;
}
