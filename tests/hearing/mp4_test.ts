/** AAC in MP4 to samples, however its packets lie there; and what of both is refused. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { RequestError } from "../../src/base/errors.ts";
import { decodeSound } from "../../src/hearing/decode.ts";
import { soundKindOf } from "../../src/hearing/mod.ts";
import { randomChannel, writeAdts, writeFrame } from "../support/aac_files.ts";
import { type Bits, pack } from "../support/flac_files.ts";
import { box, type Mp4Options, writeMp4 } from "../support/mp4_files.ts";
import { Rng } from "../support/rng.ts";
import { soundFile } from "../support/sound_files.ts";

const RATE = 16000;
const LAYOUT = { sequence: 0, shape: 0, bands: 8, groups: [1] } as const;
const RNG = new Rng(1);
const PACKETS = Array.from({ length: 7 }, () => {
  const channel = randomChannel(RNG, LAYOUT, { rate: RATE, books: [1, 2, 6] });
  return writeFrame([{ channels: [channel] }], RATE);
});
/** AAC-LC, 16 kHz, one channel. */
const CONFIG = Uint8Array.from(pack([[2, 5], [8, 4], [1, 4], [0, 3]]));
const OF = { packets: PACKETS, config: CONFIG };
const ADTS = writeAdts(PACKETS, { rate: RATE });
const WHOLE = (await decodeSound(ADTS)).values;

const mp4 = (options: Partial<Mp4Options> = {}) => writeMp4({ ...OF, ...options });
const configOf = (...bits: Bits[]) => ({ config: Uint8Array.from(pack(bits)) });

Deno.test("decodeSound() reads M4A however its packets lie in it", async () => {
  const even = { packets: Array<Uint8Array>(6).fill(PACKETS[2]), isEven: true };
  const { values: repeated } = await decodeSound(writeAdts(even.packets, { rate: RATE }));
  const forms: readonly (readonly [Partial<Mp4Options>, Float32Array])[] = [
    [{}, WHOLE],
    [{ chunks: [3] }, WHOLE],
    [{ chunks: [2, 1, 3] }, WHOLE],
    [{ chunks: [4], isLast: true, isLong: true }, WHOLE],
    [{ ...even, chunks: [2] }, repeated],
    [{ hasPicture: true }, WHOLE],
    [{ version: 1 }, WHOLE],
    [{ version: 2, object: 0x67 }, WHOLE],
    [{ inEntry: box("free", new Uint8Array(3)) }, WHOLE],
    [{ fragments: { packets: 3, place: "base" } }, WHOLE],
    [{ fragments: { packets: 4, place: "moof" }, hasPicture: true }, WHOLE],
    [{ fragments: { packets: 2, place: "behind" } }, WHOLE],
    [{ fragments: { packets: 3, place: "data" } }, WHOLE],
    [{ fragments: { packets: 3, place: "chained" } }, WHOLE],
    [{ fragments: { packets: 2, place: "chained untold" } }, WHOLE],
    [{ ...even, fragments: { packets: 4, place: "moof" } }, repeated],
    // Of 7168 samples, in thousandths of a second.
    [{ edits: [[1024, 100]] }, WHOLE.subarray(1024, 1024 + 1600)],
    [{ edits: [[-1, 500], [2048, 9000]], isLong: true }, WHOLE.subarray(2048)],
    [{ edits: [[4096, 200]], scale: 32000 }, WHOLE.subarray(2048, 2048 + 3200)],
    [{ edits: [[100, 0]] }, WHOLE.subarray(100)],
    // Several parts are not put together.
    [{ edits: [[0, 100], [4000, 100]] }, WHOLE],
  ];
  for (const [form, expected] of forms) {
    const hint = JSON.stringify(form).slice(-90);
    const { rate, values } = await decodeSound(mp4(form)).catch((e) => {
      throw new Error(hint, { cause: e });
    });
    assertEquals(rate, RATE);
    assertEquals(values, expected, JSON.stringify(form).slice(-90));
  }
});

Deno.test("soundKindOf() takes photos of telephones for no sounds, which lie in the same boxes", () => {
  const begin = (brand: string) => new TextEncoder().encode(`\0\0\0\x18ftyp${brand}\0\0\0\0`);
  for (const brand of ["M4A ", "mp42", "isom", "qt  ", "3gp4", "dash"]) {
    assertEquals(soundKindOf(begin(brand)), "mp4", brand);
  }
  for (const brand of ["heic", "heix", "hevc", "mif1", "msf1", "avif", "avis"]) {
    assertEquals(soundKindOf(begin(brand)), null, brand);
  }
});

Deno.test("decodeSound() reads of HE-AAC what AAC-LC has, and rates that no list has", async () => {
  const [he, ps]: Bits[][] = [5, 29].map((kind) => [[kind, 5], [8, 4], [1, 4], [5, 4], [2, 5]]);
  const own: Bits[] = [[2, 5], [15, 4], [16000, 24], [1, 4], [0, 3]];
  // A core that another one is before, by so many samples.
  const behind: Bits[] = [[2, 5], [8, 4], [1, 4], [0, 1], [1, 1], [77, 14], [0, 1]];
  const explicit: Bits[] = [[5, 5], [15, 4], [16000, 24], [1, 4], [15, 4], [32000, 24], [2, 5], [
    0,
    3,
  ]];
  for (const bits of [[...he, [0, 3]], [...ps, [0, 3]], own, behind, explicit] as Bits[][]) {
    assertEquals(await decodeSound(mp4(configOf(...bits))), { rate: RATE, values: WHOLE });
  }
  const { rate } = await decodeSound(mp4(configOf([2, 5], [15, 4], [15000, 24], [1, 4], [0, 3])));
  assertEquals(rate, 15000);
});

Deno.test("decodeSound() reads AAC frame by frame, between other things", async () => {
  const cat = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const letters = (text: string) => new TextEncoder().encode(text);
  const marks = cat(letters("ID3"), Uint8Array.of(4, 0, 0, 0, 0, 1, 2), new Uint8Array(130));
  const twice = cat(letters("ID3"), Uint8Array.of(4, 0, 16, 0, 0, 0, 1), new Uint8Array(11));
  const end = cat(letters("TAG"), new Uint8Array(125));
  for (const file of [cat(marks, ADTS, end), cat(twice, ADTS)]) {
    assertEquals((await decodeSound(file)).values, WHOLE);
  }
  // Frames with sums: one block, whose sum is behind its head; two, each with its own.
  const head = (bytes: number, blocks: number) =>
    pack([[0xfff, 12], [0, 4], [1, 2], [8, 4], [0, 1], [1, 3], [0, 4], [bytes, 13], [0, 11], [
      blocks - 1,
      2,
    ]]);
  const one = PACKETS.slice(0, 1).flatMap((
    packet,
  ) => [...head(packet.length + 9, 1), 1, 2, ...packet]);
  const [, a, b] = PACKETS;
  const two = [...head(a.length + b.length + 15, 2), 1, 2, 3, 4, ...a, 5, 6, ...b, 7, 8];
  const { values } = await decodeSound(Uint8Array.of(...one, ...two));
  assertEquals(values, WHOLE.subarray(0, 3 * 1024));
});

const REFUSED_MP4: readonly (readonly [Uint8Array, string])[] = [
  [mp4({ coding: "alac" }), "an MP4 of ALAC (Apple Lossless), which is not read"],
  [mp4({ coding: "enca" }), "an MP4 of encrypted sound"],
  [mp4({ inEntry: box("sinf") }), "an MP4 of encrypted sound"],
  [mp4({ coding: "x\x01yz" }), 'an MP4 of the coding "x?yz"'],
  [mp4({ object: 0x6b }), "an MP4 of MP3"],
  [mp4({ object: 0x21 }), "an MP4 of audio of kind 33"],
  [mp4(configOf([1, 5], [8, 4], [1, 4], [0, 3])), "an MP4 of AAC Main"],
  [mp4(configOf([31, 5], [7, 6], [8, 4], [1, 4], [0, 5])), "an MP4 of AAC-ELD"],
  [mp4(configOf([5, 5], [8, 4], [1, 4], [5, 4], [4, 5], [0, 2])), "an MP4 of AAC LTP"],
  [mp4(configOf([2, 5], [8, 4], [1, 4], [1, 1], [0, 2])), "frames of 960 samples"],
  [mp4(configOf([2, 5], [14, 4], [1, 4], [0, 3])), "0 samples a second"],
  [mp4(configOf([2, 5], [15, 4], [96_001, 24], [1, 4], [0, 3])), "96001 samples a second"],
  [mp4(configOf([2, 5])), "ends within its sound"],
  [mp4({ packets: [] }), "has no sound in it"],
  [mp4({ edits: [[9000, 100]] }), "has no sound in it"],
  [mp4().subarray(0, -1), "ends before the packet at byte"],
  [mp4().subarray(0, 20), "there is no sound in it"],
  [Uint8Array.of(...mp4().subarray(0, 20), 0, 0, 0, 7, 1, 2, 3, 4), "there is no box at byte 20"],
  [mp4({ packets: [...PACKETS, new Uint8Array()] }), "a packet of it has no bytes"],
  [mp4({ packets: [Uint8Array.of(0xe0)] }), "a frame of it has no channel"],
];

/** The same file with other bytes behind a name. */
function changed(file: Uint8Array, name: string, at: number, ...bytes: number[]): Uint8Array {
  const copy = file.slice();
  const place = copy.findIndex((_, i) => String.fromCharCode(...copy.subarray(i, i + 4)) === name);
  assert(place > 0);
  copy.set(bytes, place + 4 + at);
  return copy;
}

Deno.test("decodeSound() refuses MP4 that is damaged, encrypted or of other codings", async () => {
  const many = mp4({ isEven: true, packets: Array<Uint8Array>(6).fill(PACKETS[2]), chunks: [6] });
  const evenLast = mp4({
    isEven: true,
    packets: Array<Uint8Array>(6).fill(PACKETS[2]),
    isLast: true,
  });
  const boxes = new Uint8Array(8 * 100_001);
  for (let at = 3; at < boxes.length; at += 8) boxes[at] = 8;
  // As long as the last one can be.
  const most = evenLast.length - 28 - 5 * PACKETS[2].length;
  const fragment = mp4({ fragments: { packets: 3, place: "behind" } });
  const refused: readonly (readonly [Uint8Array, string])[] = [
    ...REFUSED_MP4,
    [changed(mp4(), "stsz", 8, 0, 0, 1), "fewer sizes than its"],
    [changed(mp4(), "stco", 4, 255), "does not say where its packets are"],
    [changed(mp4(), "stco", 8, 0x7f), "ends before the packet at byte"],
    [changed(mp4(), "stco", 4, 0, 0, 0, 3), "ends 4 packets before its sound does"],
    [changed(mp4(), "stsc", 8, 0, 0, 0, 2), "ends 7 packets before its sound does"],
    [changed(mp4(), "stsc", 16, 0, 0, 0, 2), "changes how it is coded"],
    [changed(mp4(), "stsd", 4, 0, 0, 0, 1, 0, 0, 0, 20), "does not say how its sound is coded"],
    [changed(mp4(), "esds", 5, 0xff, 0xff, 0xff, 0x7f), "in too few bytes how its sound is coded"],
    [changed(mp4({ edits: [[0, 1]] }), "elst", 4, 0, 0, 0, 9), "edit list is not whole"],
    [concatBytes([mp4(), boxes]), "more than 100,000 boxes"],
    // A billion packets where there are six, all of them the same bytes.
    [
      changed(changed(many, "stsz", 8, 64, 0, 0, 0), "stsc", 12, 64, 0, 0, 0),
      "ends before the packet",
    ],
    [changed(fragment, "trun", 4, 0, 1, 0, 0), "a run that is not whole"],
    // The same bytes again and again.
    [
      changed(evenLast, "stsz", 6, most >> 8, most & 255),
      "its packets have more bytes than it has",
    ],
  ];
  for (const [file, message] of refused) {
    const error = await assertRejects(() => decodeSound(file), RequestError, message, message);
    assertEquals([error.status, error.code], [400, "invalid_audio"], message);
  }
});

/** A frame of one channel: its head, what it says of bands, and bits. */
const frameOf = (...bits: Bits[]) => Uint8Array.from([...pack(bits), 0, 0, 0, 0, 0, 0, 0, 0]);
const SINGLE: Bits[] = [[0, 3], [0, 4], [140, 8], [0, 1]];
const SHORT: Bits[] = [...SINGLE, [2, 2], [0, 1], [0, 4], [0, 7]];
const EMPTY: Bits[] = [...SINGLE, [0, 2], [0, 1], [0, 6], [0, 1]];
const TWO: Bits[] = [[0, 2], [0, 1], [2, 6], [0, 1], [1, 4], [2, 5]];
const ONE: Bits[] = [...SINGLE, [0, 2], [0, 1], [1, 6], [0, 1]];

Deno.test("decodeSound() refuses AAC that is damaged, or more than AAC-LC", async () => {
  const file = (packet: Uint8Array) => writeAdts([packet], { rate: RATE });
  const refused: readonly (readonly [Uint8Array, string])[] = [
    [file(frameOf(...SINGLE, [0, 3], [44, 6])), "44 bands, where 43 are most"],
    [file(frameOf(...SINGLE, [0, 2], [0, 1], [1, 6], [1, 1])), "its frames are predicted"],
    [file(frameOf(...ONE, [12, 4])), "a book that there is not"],
    [file(frameOf(...ONE, [1, 4], [2, 5])), "more than its 1 bands"],
    [file(frameOf(...EMPTY, [0, 2], [1, 1])), "gain controls"],
    [file(frameOf(...SHORT, [1, 1])), "short windows of it have pulses"],
    [file(frameOf(...EMPTY, [1, 1], [0, 2], [50, 6])), "pulses beyond its spectrum"],
    [file(frameOf(...EMPTY, [1, 1], [3, 2], [43, 6])), "pulses beyond its spectrum"],
    [
      file(frameOf(...EMPTY, [0, 1], [1, 1], [1, 2], [0, 1], [5, 6], [13, 5])),
      "shaped by 13 numbers",
    ],
    [file(frameOf([2, 3])), "coupling channels"],
    [
      file(frameOf([1, 3], [0, 4], [1, 1], [0, 4], [0, 7], [3, 2])),
      "a mask of a kind that there is not",
    ],
    [file(frameOf([7, 3])), "has no channel"],
    [file(frameOf(...Array(17).fill([...EMPTY, [0, 3]]).flat())), "more than 16 channels"],
    // Two steps of 60 up; noise at the lowest that nine bits have.
    [file(frameOf(...SINGLE, ...TWO, [0x7fff3, 19], [0x7fff3, 19])), "has the scale 260"],
    [
      file(frameOf([0, 7], [0, 8], [0, 4], [1, 6], [0, 1], [13, 4], [1, 5], [0, 9])),
      "the scale -346",
    ],
    // 16, and behind its sign nine ones.
    [
      file(frameOf(...ONE, [11, 4], [1, 5], [0, 4], [450, 9], [0, 1], [511, 9])),
      "more than 13 bits",
    ],
    [ADTS.subarray(0, ADTS.length - 1), "ends within its sound"],
    [ADTS.subarray(0, 5), "there is no frame at byte 0"],
    [Uint8Array.of(...ADTS, 1, 2), `there is no frame at byte ${ADTS.length}`],
    [ADTS.with(2, 0x20), "AAC Main, which is not read"],
    [ADTS.with(2, 0x7c), "a frame of it has no rate"],
    [ADTS.with(4, 0).with(5, 0xe0), "has 7 bytes"],
    [Uint8Array.of(...ADTS, ...writeAdts(PACKETS, { rate: 8000 })), "change their rate"],
  ];
  for (const [damaged, message] of refused) {
    const error = await assertRejects(() => decodeSound(damaged), RequestError, message, message);
    assertEquals([error.status, error.code], [400, "invalid_audio"]);
  }
});

Deno.test("decodeSound() gives an error or samples for every cut of an M4A, and many a flipped byte", async () => {
  const file = soundFile("talk.m4a");
  const outcome = async (bytes: Uint8Array) => {
    try {
      const { values } = await decodeSound(bytes);
      assert(values.every(Number.isFinite));
    } catch (error) {
      assert(error instanceof RequestError, `${error}`);
    }
  };
  for (let at = 1; at < file.length; at += 41) await outcome(file.subarray(0, at));
  for (let at = 4; at < file.length; at += 31) {
    await outcome(file.with(at, file[at] ^ (1 << at % 8)));
  }
});
