/**
 * Codes of types whose weights are looked up in a codebook: of each entry the codes of its levels,
 * which signs turn into their complements. Where indices and signs lie is told in
 * src/model/quants/dequantize_codebooks.ts. What codes stand for: kernels/parts/levels.wgsl.
 */
import { codebook, type CodebookName, evenSigns } from "../../src/model/mod.ts";

/** Codes of eight weights, a byte each: of the first four, and of the others. */
interface Eights {
  /** [32], of a superblock. */
  readonly low: Uint32Array;
  readonly high: Uint32Array;
}

/** Reads the codes of the superblock at `at`. */
type ReadEights = (bytes: DataView, at: number, to: Eights) => void;

/** Codes of all entries of a codebook, four in a word. */
function entriesOf(name: CodebookName, codeOf: (level: number) => number): Uint32Array {
  const levels = codebook(name);
  return Uint32Array.from(
    { length: levels.length / 4 },
    (_, i) => wordOf((j) => codeOf(levels[4 * i + j])),
  );
}

function wordOf(byteOf: (j: number) => number): number {
  return (byteOf(0) | byteOf(1) << 8 | byteOf(2) << 16 | byteOf(3) << 24) >>> 0;
}

/** By four signs: which bits of four codes they turn. */
function turnedBy(bits: number): Uint32Array {
  return Uint32Array.from({ length: 16 }, (_, signs) => wordOf((j) => signs >> j & 1 ? bits : 0));
}

/** Seven signs, and the eighth that makes their number even. */
const EVEN = Uint8Array.from({ length: 128 }, (_, seven) => evenSigns(seven));

/** Codes of positive levels: of IQ2 8, 25, 43 have 4, 5, 7, of IQ3 the k-th one has 8 + k. */
const iq2Code = (level: number) => level === 8 ? 4 : level === 25 ? 5 : 7;
const iq3XxsCode = (level: number) => 8 + (level >> 2);
const iq3SCode = (level: number) => 8 + (level >> 1);
/** Of IQ1 twice as many as levels below, to which the sign of an eighth is added. */
const iq1Code = (level: number) => 2 * (level / 8 + 1);
const ALL_ONES = 0x01010101;

/** Two words of an entry of eight weights, with their signs. */
function turnEight(
  { low, high }: Eights,
  i: number,
  { book, turned, index, signs }: {
    book: Uint32Array;
    turned: Uint32Array;
    index: number;
    signs: number;
  },
): void {
  low[i] = book[2 * index] ^ turned[signs & 15];
  high[i] = book[2 * index + 1] ^ turned[signs >> 4];
}

function iq2Xxs(): ReadEights {
  const [book, turned] = [entriesOf("IQ2_XXS", iq2Code), turnedBy(7)];
  return (bytes, at, to) => {
    for (let i = 0; i < 32; i++) {
      const block = at + 2 + 8 * (i >> 2);
      const index = bytes.getUint8(block + (i & 3));
      const signs = EVEN[bytes.getUint32(block + 4, true) >>> 7 * (i & 3) & 127];
      turnEight(to, i, { book, turned, index, signs });
    }
  };
}

function iq2Xs(): ReadEights {
  const [book, turned] = [entriesOf("IQ2_XS", iq2Code), turnedBy(7)];
  return (bytes, at, to) => {
    for (let i = 0; i < 32; i++) {
      const both = bytes.getUint16(at + 2 + 2 * i, true);
      turnEight(to, i, { book, turned, index: both & 511, signs: EVEN[both >> 9] });
    }
  };
}

function iq2S(): ReadEights {
  const [book, turned] = [entriesOf("IQ2_S", iq2Code), turnedBy(7)];
  return (bytes, at, to) => {
    for (let i = 0; i < 32; i++) {
      const upper = bytes.getUint8(at + 66 + (i >> 2)) >> 2 * (i & 3) & 3;
      const index = bytes.getUint8(at + 2 + i) | upper << 8;
      turnEight(to, i, { book, turned, index, signs: bytes.getUint8(at + 34 + i) });
    }
  };
}

function iq3Xxs(): ReadEights {
  const [book, turned] = [entriesOf("IQ3_XXS", iq3XxsCode), turnedBy(15)];
  return (bytes, at, { low, high }) => {
    for (let i = 0; i < 32; i++) {
      const word = bytes.getUint32(at + 66 + 4 * (i >> 2), true);
      const signs = EVEN[word >>> 7 * (i & 3) & 127];
      low[i] = book[bytes.getUint8(at + 2 + 2 * i)] ^ turned[signs & 15];
      high[i] = book[bytes.getUint8(at + 3 + 2 * i)] ^ turned[signs >> 4];
    }
  };
}

function iq3S(): ReadEights {
  const [book, turned] = [entriesOf("IQ3_S", iq3SCode), turnedBy(15)];
  return (bytes, at, { low, high }) => {
    for (let i = 0; i < 32; i++) {
      const ninths = bytes.getUint8(at + 66 + (i >> 2)) >> 2 * (i & 3);
      const signs = bytes.getUint8(at + 74 + i);
      const first = bytes.getUint8(at + 2 + 2 * i) | (ninths & 1) << 8;
      const second = bytes.getUint8(at + 3 + 2 * i) | (ninths & 2) << 7;
      low[i] = book[first] ^ turned[signs & 15];
      high[i] = book[second] ^ turned[signs >> 4];
    }
  };
}

function iq1S(): ReadEights {
  const book = entriesOf("IQ1", iq1Code);
  return (bytes, at, { low, high }) => {
    for (let i = 0; i < 32; i++) {
      const word = bytes.getUint16(at + 34 + 2 * (i >> 2), true);
      const index = bytes.getUint8(at + 2 + i) | (word >> 3 * (i & 3) & 7) << 8;
      const eighth = word & 0x8000 ? 0 : ALL_ONES;
      low[i] = book[2 * index] | eighth;
      high[i] = book[2 * index + 1] | eighth;
    }
  };
}

function iq1M(): ReadEights {
  const book = entriesOf("IQ1", iq1Code);
  return (bytes, at, { low, high }) => {
    for (let i = 0; i < 32; i++) {
      const upper = bytes.getUint8(at + 32 + (i >> 1)) >> 4 * (i & 1) & 15;
      const index = bytes.getUint8(at + i) | (upper & 7) << 8;
      const eighth = upper & 8 ? 0 : ALL_ONES;
      low[i] = book[2 * index] | eighth;
      high[i] = book[2 * index + 1] | eighth;
    }
  };
}

const READERS: Readonly<Record<string, () => ReadEights>> = {
  ...{ IQ2_XXS: iq2Xxs, IQ2_XS: iq2Xs, IQ2_S: iq2S },
  ...{ IQ3_XXS: iq3Xxs, IQ3_S: iq3S, IQ1_S: iq1S, IQ1_M: iq1M },
};

/** Made at the first use: codebooks are large. */
const made = new Map<string, ReadEights>();

/** True for types that `lookUp` knows. */
export function isLookedUp(type: string): boolean {
  return Object.hasOwn(READERS, type);
}

/** Nibbles of whole superblocks of `blockBytes`, a piece of 32 columns after the other. */
export function lookUp(
  type: string,
  bytes: Uint8Array,
  blockBytes: number,
): Uint32Array<ArrayBuffer> {
  const read = made.get(type) ?? READERS[type]();
  made.set(type, read);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const eights = { low: new Uint32Array(32), high: new Uint32Array(32) };
  const { low, high } = eights;
  const codes = new Uint32Array(bytes.length / blockBytes * 32);
  for (let at = 0, to = 0; at < bytes.length; at += blockBytes) {
    read(view, at, eights);
    // Columns 16 more are in the upper halves of bytes.
    for (let i = 0; i < 32; i += 4) {
      codes[to++] = low[i] | low[i + 2] << 4;
      codes[to++] = high[i] | high[i + 2] << 4;
      codes[to++] = low[i + 1] | low[i + 3] << 4;
      codes[to++] = high[i + 1] | high[i + 3] << 4;
    }
  }
  return codes;
}
