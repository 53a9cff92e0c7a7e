/** WebM and Matroska files for tests, of packets that are given. */

export interface WebmOptions {
  readonly head: Uint8Array;
  readonly packets: readonly Uint8Array[];
  readonly codec?: string;
  readonly track?: number;
  /** How several packets are one block; left out: each has its own. */
  readonly lacing?: "xiph" | "fixed" | "ebml";
  /** As writers have it that do not know yet how long anything will be. */
  readonly isLive?: boolean;
  /** Blocks have groups, the last one with so much at its end that is no sound. */
  readonly paddingNs?: number;
  /** A picture's track before it and a sound's behind it, with blocks of their own. */
  readonly hasOthers?: boolean;
  /** What a track says besides. */
  readonly inTrack?: Uint8Array;
}

const LACING = { xiph: 1, fixed: 2, ebml: 3 };
/** Packets of a block, where they are laced. */
const LACED = 4;
/** The number of a picture's track. */
const PICTURE = 101;
const DOCUMENT = element(0x1a45dfa3, element(0x4282, new TextEncoder().encode("webm")));

export function writeWebm(options: WebmOptions): Uint8Array {
  const { head, packets, codec = "A_OPUS", track = 1, isLive = false, hasOthers } = options;
  const parent = (name: number, ...parts: Uint8Array[]) =>
    isLive ? bytes(nameOf(name), 0x01, ...Array(7).fill(255), ...parts) : element(name, ...parts);
  const tracks = [
    ...hasOthers ? [trackOf(PICTURE, 1, "V_VP8")] : [],
    trackOf(track, 2, codec, head, options.inTrack),
    ...hasOthers ? [trackOf(track + 1, 2, codec, head)] : [],
  ];
  const info = element(0x1549a966, element(0x2ad7b1, 0x0f, 0x42, 0x40));
  return bytes(
    DOCUMENT,
    parent(0x18538067, info, element(0x1654ae6b, ...tracks), ...clusters(options, packets, parent)),
  );
}

function clusters(
  { track = 1, lacing, paddingNs, hasOthers }: WebmOptions,
  packets: readonly Uint8Array[],
  parent: (name: number, ...parts: Uint8Array[]) => Uint8Array,
): Uint8Array[] {
  const size = lacing === undefined ? 1 : LACED;
  const blocks = Array.from({ length: Math.ceil(packets.length / size) }, (_, i) => {
    const own = packets.slice(i * size, (i + 1) * size);
    const isLast = (i + 1) * size >= packets.length;
    const block = bytes(vint(track), 0, i, lacing ? LACING[lacing] << 1 : 0, laced(own, lacing));
    const ours = paddingNs === undefined ? element(0xa3, block) : element(
      0xa0,
      element(0xa1, block),
      ...isLast ? [element(0x75a2, 0, ...integer(paddingNs))] : [],
    );
    const picture = element(0xa3, vint(PICTURE), 0, i, 0, 1, 2, 3);
    const other = element(0xa3, vint(track + 1), 0, i, 0, packets[0]);
    return hasOthers ? bytes(picture, other, ours) : ours;
  });
  // Two, the second one of which begins later.
  const half = blocks.length >> 1;
  return [blocks.slice(0, half), blocks.slice(half)].map((own, i) =>
    parent(0x1f43b675, element(0xe7, i), ...own)
  );
}

function trackOf(
  number: number,
  type: number,
  codec: string,
  head: Uint8Array = new Uint8Array(),
  more: Uint8Array = new Uint8Array(),
): Uint8Array {
  return element(
    0xae,
    element(0xd7, ...integer(number)),
    element(0x83, type),
    element(0x86, new TextEncoder().encode(codec)),
    element(0x63a2, head),
    more,
  );
}

function laced(packets: readonly Uint8Array[], lacing: WebmOptions["lacing"]): Uint8Array {
  if (lacing === undefined) return packets[0];
  const sizes = packets.slice(0, -1).map(({ length }) => length);
  const told = lacing === "fixed"
    ? []
    : lacing === "xiph"
    ? sizes.flatMap((size) => [...Array(Math.floor(size / 255)).fill(255), size % 255])
    // Two bytes each: sizes, and differences, of at most 2^13.
    : sizes.flatMap((size, i) => {
      const value = i === 0 ? size : size - sizes[i - 1] + 0x1fff;
      return [0x40 | value >> 8, value & 255];
    });
  return bytes(packets.length - 1, ...told, ...packets);
}

/** An element of its name, its size in four bytes, and what is in it. */
export function element(name: number, ...parts: (number | Uint8Array)[]): Uint8Array {
  const data = bytes(...parts);
  const { length } = data;
  return bytes(nameOf(name), 0x10 | length >> 24, length >> 16, length >> 8, length, data);
}

function nameOf(name: number): Uint8Array {
  return bytes(...integer(name));
}

/** In one byte, or in two. */
function vint(value: number): Uint8Array {
  return value < 127 ? bytes(0x80 | value) : bytes(0x40 | value >> 8, value);
}

/** Of a number from 0 on, no more bytes than it takes. */
function integer(value: number): number[] {
  const rest = value < 256 ? [] : integer(Math.floor(value / 256));
  return [...rest, value % 256];
}

function bytes(...parts: (number | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => typeof part === "number" ? part & 255 : [...part]),
  );
}
