/** MP4 and M4A files for tests, of packets that are given. */
import { concatBytes } from "../../src/base/bytes.ts";

export interface Mp4Options {
  readonly packets: readonly Uint8Array[];
  /** What AAC's decoder has to know before. */
  readonly config: Uint8Array;
  /** Packets of each chunk, in turns. */
  readonly chunks?: readonly number[];
  /** Where chunks are is told by 64 bits, and boxes that can be have such sizes. */
  readonly isLong?: boolean;
  /** What says where packets are comes behind them. */
  readonly isLast?: boolean;
  /** All packets have one size, which is told once. */
  readonly isEven?: boolean;
  /** Packets come in fragments of so many, which say where they are in one of these ways. */
  readonly fragments?: { readonly packets: number; readonly place: FragmentPlace };
  /** Parts of the sound: from which unit on (-1: nothing of it), and thousandths of a second. */
  readonly edits?: readonly (readonly [from: number, units: number])[];
  readonly scale?: number;
  readonly coding?: string;
  /** The descriptor's number of the coding. */
  readonly object?: number;
  /** As QuickTime has it. */
  readonly version?: 0 | 1 | 2;
  /** A picture's track before it. */
  readonly hasPicture?: boolean;
  /** In the entry, besides. */
  readonly inEntry?: Uint8Array;
}

/**
 * From where a fragment's first run is counted: of the fragment, told; of the fragment that has it;
 * of the same, since nothing is before it; of the data itself, told, without an offset; the end of
 * another track's data that is before it, with an offset of 0 and without one.
 */
export type FragmentPlace = "base" | "moof" | "behind" | "data" | "chained" | "chained untold";

export function writeMp4(options: Mp4Options): Uint8Array<ArrayBuffer> {
  const { packets, isLast = false, isLong = false, fragments } = options;
  const head = box("ftyp", text("M4A "), long(0), text("isom"));
  if (fragments !== undefined) {
    const told = movie(options, 0);
    return concatBytes([head, told, ...moofs(options, head.length + told.length)]);
  }
  // Its length does not depend on where packets are.
  const movieBytes = movie(options, 0).length;
  const dataHead = isLong ? 16 : 8;
  const from = head.length + (isLast ? 0 : movieBytes) + dataHead;
  const data = isLong ? longBox("mdat", ...packets) : box("mdat", ...packets);
  const told = movie(options, from);
  return concatBytes(isLast ? [head, data, told] : [head, told, data]);
}

/** A box of its name. */
export function box(name: string, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const data = concatBytes(parts);
  return concatBytes([long(data.length + 8), text(name), data]);
}

function longBox(name: string, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const data = concatBytes(parts);
  return concatBytes([long(1), text(name), long(0), long(data.length + 16), data]);
}

function movie(options: Mp4Options, from: number): Uint8Array<ArrayBuffer> {
  const { hasPicture, fragments, packets } = options;
  const extended = box(
    "mvex",
    box("trex", long(0), long(9), long(1), long(0), long(OTHER_BYTES), long(0)),
    box("trex", long(0), long(7), long(1), long(1024), long(packets[0]?.length ?? 0), long(0)),
  );
  return box(
    "moov",
    box("mvhd", long(0), long(0), long(0), long(1000)),
    ...hasPicture ? [track(options, { from, kind: "vide" })] : [],
    track(options, { from, kind: "soun" }),
    ...fragments === undefined ? [] : [extended],
  );
}

function track(options: Mp4Options, { from, kind }: { from: number; kind: string }) {
  const { edits, scale = 16000, isLong } = options;
  const rows = (edits ?? []).map(([at, units]) =>
    isLong
      ? concatBytes([long(0), long(units), long(at < 0 ? -1 : 0), long(at), long(0x10000)])
      : concatBytes([long(units), long(at), long(0x10000)])
  );
  const times = isLong
    ? [long(0x01000000), long(0), long(0), long(0), long(0)]
    : [long(0), long(0), long(0)];
  return box(
    "trak",
    box("tkhd", ...times, long(kind === "soun" ? 7 : 3)),
    ...edits === undefined
      ? []
      : [box("edts", box("elst", long(isLong ? 0x01000000 : 0), long(rows.length), ...rows))],
    box(
      "mdia",
      box("mdhd", ...times, long(scale)),
      box("hdlr", long(0), long(0), text(kind)),
      box("minf", box("stbl", entries(options), ...tables(options, from))),
    ),
  );
}

function entries({ config, coding = "mp4a", object = 0x40, version = 0, inEntry }: Mp4Options) {
  const specific = descriptor(5, config);
  const decoder = descriptor(4, Uint8Array.of(object, 0x15), new Uint8Array(11), specific);
  const stream = descriptor(3, new Uint8Array(3), decoder, descriptor(6, Uint8Array.of(2)));
  const told = box("esds", long(0), stream);
  const more = [0, 16, 36][version];
  const head = new Uint8Array(28 + more);
  head[7] = 1;
  head[9] = version;
  const inside = version === 0 ? told : box("wave", box("frma", text(coding)), told);
  return box("stsd", long(0), long(1), box(coding, head, ...inEntry ? [inEntry] : [], inside));
}

/** Its size in two bytes. */
function descriptor(number: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const data = concatBytes(parts);
  return concatBytes([Uint8Array.of(number, 0x80 | data.length >> 7, data.length & 127), data]);
}

function tables({ packets, chunks = [1], isLong, isEven, fragments }: Mp4Options, from: number) {
  const own = fragments === undefined ? packets : [];
  const sizes = isEven && own.length > 0
    ? [long(own[0].length), long(own.length)]
    : [long(0), long(own.length), ...own.map(({ length }) => long(length))];
  const places: Uint8Array[] = [];
  const runs: Uint8Array[] = [];
  for (let packet = 0, at = from; packet < own.length;) {
    const count = chunks[places.length % chunks.length];
    places.push(isLong ? concatBytes([long(0), long(at)]) : long(at));
    if (places.length <= chunks.length || chunks.length > 1) {
      runs.push(long(places.length), long(count), long(1));
    }
    for (let i = 0; i < count && packet < own.length; i++) at += own[packet++].length;
  }
  return [
    box("stsz", long(0), ...sizes),
    box("stsc", long(0), long(runs.length / 3), ...runs),
    box(isLong ? "co64" : "stco", long(0), long(places.length), ...places),
  ];
}

/** Of another track's packets, of which each fragment has three, and a fourth of twice as many. */
const OTHER_BYTES = 6;

/** Fragments: in each two runs, and of another track two. */
function moofs({ packets, fragments, isEven }: Mp4Options, from: number): Uint8Array[] {
  const { packets: size, place } = fragments!;
  const isChained = place.startsWith("chained");
  const others = isChained ? 5 * OTHER_BYTES : 0;
  const parts: Uint8Array[] = [];
  let begin = from;
  for (let at = 0; at < packets.length; at += size) {
    const own = packets.slice(at, at + size);
    const half = own.length >> 1;
    const of = (dataAt: number) => {
      const run = (list: readonly Uint8Array[], told: boolean) => {
        const marks = (told ? 1 : 0) | (isEven ? 0 : 0x300);
        const rows = isEven ? [] : list.flatMap(({ length }) => [long(1024), long(length)]);
        const offset = told ? [long(isChained ? 0 : dataAt)] : [];
        return box("trun", long(marks), long(list.length), ...offset, ...rows);
      };
      const fields = place === "base"
        ? [long(1), long(7), long(0), long(begin)]
        : place === "data"
        ? [long(1), long(7), long(0), long(begin + dataAt)]
        : [long(place === "moof" ? 0x20000 : 0), long(7)];
      const isTold = place !== "data" && place !== "chained untold";
      const runs = [run(own.slice(0, half), isTold), run(own.slice(half), false)];
      const other = box(
        "traf",
        box("tfhd", long(0), long(9)),
        box("trun", long(1), long(3), long(dataAt)),
        box("trun", long(0x200), long(1), long(2 * OTHER_BYTES)),
      );
      const ours = box("traf", box("tfhd", ...fields), ...runs);
      return box("moof", box("mfhd", long(0), long(1)), ...place === "behind" ? [] : [other], ours);
    };
    const moof = of(of(0).length + 8);
    const data = box("mdat", new Uint8Array(others), ...own);
    parts.push(moof, data);
    begin += moof.length + data.length;
  }
  return parts;
}

/** 32 bits, the highest first. */
export function long(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >> 16, value >> 8, value);
}

function text(letters: string): Uint8Array {
  return Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
}
