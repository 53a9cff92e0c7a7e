/** AAC to samples: what the formulas give, slowly. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { decodeSound } from "../../src/hearing/decode.ts";
import { bandsOf, RATES } from "../../src/hearing/decoders/aac/bands.ts";
import type { Channel } from "../../src/hearing/decoders/aac/channel.ts";
import { addNoise, joinPair } from "../../src/hearing/decoders/aac/pairs.ts";
import { Random } from "../../src/hearing/decoders/aac/random.ts";
import { BOOKS } from "../../src/hearing/decoders/aac/books.ts";
import {
  type ChannelSpec,
  type LayoutSpec,
  type PartSpec,
  randomChannel,
  writeAdts,
  writeFrame,
} from "../support/aac_files.ts";
import { twinSamples } from "../support/aac_twin.ts";
import { nmse } from "../support/compare.ts";
import type { Bits } from "../support/flac_files.ts";
import { Rng } from "../support/rng.ts";
import { soundFile } from "../support/sound_files.ts";

const CODED = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

const long = (shape: 0 | 1, bands: number, sequence: 0 | 1 | 3 = 0): LayoutSpec => ({
  ...{ sequence, shape, bands, groups: [1] },
});
const short = (shape: 0 | 1, bands: number, groups: readonly number[]): LayoutSpec => ({
  ...{ sequence: 2, shape, bands, groups },
});

function adtsOf(frames: readonly (readonly PartSpec[])[], rate: number): Uint8Array {
  return writeAdts(frames.map((parts) => writeFrame(parts, rate)), { rate });
}

/** Both may be off by what numbers of 32 bits have. */
async function assertAsTwin(frames: readonly (readonly PartSpec[])[], rate: number) {
  const { rate: found, values } = await decodeSound(adtsOf(frames, rate));
  assertEquals([found, values.length], [rate, 1024 * frames.length]);
  assertLess(nmse(values, Float32Array.from(twinSamples(frames, rate))), 1e-13);
}

Deno.test("decodeSound() reads AAC of all rates, books, windows and their shapes", async () => {
  for (const [seed, rate] of RATES.entries()) {
    const rng = new Rng(seed);
    const { long: { length }, short: { length: shortLength } } = bandsOf(rate);
    const layouts = [
      long(seed % 2 as 0 | 1, length - 1),
      long(0, 9, 1),
      short(1, shortLength - 1, [1, 3, 4]),
      short(0, shortLength - 3, [8]),
      long(1, 20, 3),
      long(0, length - 2),
    ];
    const frames = layouts.map((layout): PartSpec[] => [
      { channels: [randomChannel(rng, layout, { rate, books: CODED })] },
    ]);
    await assertAsTwin(frames, rate);
  }
});

Deno.test("decodeSound() reads pairs of AAC: sums and differences, one channel as the other", async () => {
  const rng = new Rng(1), rate = 44100;
  const books = { rate, books: CODED };
  const marks = (layout: LayoutSpec) =>
    Array.from({ length: layout.groups.length * layout.bands }, () => rng.int(2));
  const frames = [long(1, 40, 1), short(0, 14, [2, 1, 5]), long(1, 49, 3), long(0, 30)].map(
    (layout, i): PartSpec[] => {
      const channels = [
        randomChannel(rng, layout, books),
        randomChannel(rng, layout, { rate, books: [...CODED, 14, 15, 14, 15] }),
      ];
      return [{ channels, mask: i === 2 ? "all" : marks(layout) }];
    },
  );
  // Each has windows of its own, as the last one that is the other.
  const apart = [
    [long(0, 12), long(1, 33, 1)],
    [long(1, 20), short(1, 5, [4, 4])],
    [long(1, 49), short(0, 12, [2, 1, 5])],
  ].map((layouts, i) => ({
    channels: layouts.map((layout, right) =>
      randomChannel(rng, layout, { rate, books: i === 2 && right === 1 ? [1, 14, 15] : CODED })
    ),
  }));
  await assertAsTwin([...frames, ...apart.map((part) => [part])], rate);
});

/** Some codes of so many bits, with a sign. */
const codesOf = (rng: Rng, count: number, bits: number) =>
  Array.from({ length: count }, () => rng.int(2 ** bits) - 2 ** (bits - 1));

Deno.test("decodeSound() shapes noise of AAC, up and down, and adds its pulses", async () => {
  for (const rate of [48000, 8000]) {
    const rng = new Rng(2);
    const most = bandsOf(rate).long.length - 1, mostShort = bandsOf(rate).short.length - 1;
    const of = (layout: LayoutSpec) => randomChannel(rng, layout, { rate, books: CODED });
    const filter = (
      bands: number,
      codes: readonly number[],
      isDown = false,
      isCompressed = false,
    ) => ({
      ...{ bands, codes, isDown, isCompressed },
    });
    const channels: ChannelSpec[] = [
      {
        ...of(long(0, most)),
        filters: [[filter(30, codesOf(rng, 12, 3)), filter(60, [3, -2], true)]],
      },
      { ...of(long(1, most - 2, 1)), filters: [[filter(20, codesOf(rng, 5, 3), true, true)]] },
      {
        ...of(short(1, mostShort, [1, 7])),
        filters: Array.from({ length: 8 }, (_, i) => [filter(12, codesOf(rng, i, 3), i % 2 === 0)]),
        isCoarse: true,
      },
      {
        ...of(short(0, 10, [8])),
        filters: Array.from(
          { length: 8 },
          (_, i) => i < 4 ? [] : [filter(9, [1, -1, 1], true, true)],
        ),
        isCoarse: true,
      },
      {
        ...of(long(0, most, 3)),
        pulses: { band: 3, steps: [[0, 15], [1, 1], [31, 7], [4, 12]] },
        filters: [[filter(10, []), filter(20, codesOf(rng, 9, 3))]],
      },
      { ...of(long(0, 20)), pulses: { band: 18, steps: [[3, 9]] } },
      // On zeros: below them.
      {
        ...{ layout: long(0, 20), books: Array(20).fill(5), scales: Array(20).fill(130) },
        ...{ values: Array(1024).fill(0), pulses: { band: 7, steps: [[0, 9], [2, 3]] } },
      },
      // Where no band is coded.
      { ...of(long(0, 20)), pulses: { band: 19, steps: [[31, 9]] } },
    ];
    await assertAsTwin(channels.map((channel) => [{ channels: [channel] }]), rate);
  }
});

Deno.test("decodeSound() reads every code of AAC's books, and their largest numbers", async () => {
  const rate = 48000, [band, end] = bandsOf(rate).long.slice(-2);
  // All of a book's codes one behind the other, in the widest band and those before it.
  const frames: PartSpec[][] = [];
  for (let number = 1; number < BOOKS.length; number++) {
    const { width, values, hasSigns } = BOOKS[number];
    const numbers = Array.from(values, (value, i) => hasSigns && i % 3 === 0 ? -value : value);
    if (number === 11) numbers.splice(0, 8, 8191, -4096, 0, 17, 31, 32, -1000, 16);
    for (let at = 0; at < numbers.length; at += 1024) {
      const own = [...numbers.slice(at, at + 1024), ...Array(1024).fill(0)].slice(0, 1024);
      const layout = long(0, 49);
      const books = Array(49).fill(number);
      const scales = books.map((_, i) => 120 + (i * number * width) % 13);
      frames.push([{ channels: [{ layout, books, scales, values: own }] }]);
    }
  }
  // Steps of scales as wide as they may be.
  const scales = Array.from(
    { length: 49 },
    (_, i) => i < 2 ? 140 : [80, 140, 100, 130, 125][i % 5],
  );
  const values = Array.from({ length: 1024 }, (_, i) => i % 3 - 1);
  frames.push([{ channels: [{ layout: long(1, 49), books: Array(49).fill(2), scales, values }] }]);
  await assertAsTwin(frames, rate);
  assertEquals([band, end], [928, 1024]);
  // ffmpeg gives of these bytes the same samples: so the tables are the standard's.
  const sum = await crypto.subtle.digest("SHA-256", adtsOf(frames, rate).slice().buffer);
  assertEquals(new Uint8Array(sum).toHex().slice(0, 16), "97b54049314ca1f0");
});

Deno.test("bandsOf() has the standard's bands, by which ffmpeg hears the same", async () => {
  const text = JSON.stringify([...RATES, 15000, 9390, 9391, 100_000].map(bandsOf));
  const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  assertEquals(new Uint8Array(sum).toHex().slice(0, 16), "ca93677b090de1b4");
});

Deno.test("decodeSound() passes over parts of AAC without sound", async () => {
  const rng = new Rng(3), rate = 16000;
  const channels = [randomChannel(rng, long(0, 40), { rate, books: CODED })];
  const filled = (count: number): Bits[] =>
    Array.from({ length: count }, (): Bits => [rng.int(256), 8]);
  const silent: PartSpec[] = [
    // Fill, short and long; data, short, long, and from a byte's beginning.
    { bits: [[6, 3], [3, 4], ...filled(3)] },
    { bits: [[6, 3], [15, 4], [6, 8], ...filled(20)] },
    { bits: [[4, 3], [0, 5], [2, 8], ...filled(2)] },
    { bits: [[4, 3], [0, 5], [255, 8], [1, 8], ...filled(256)] },
  ];
  // A program of one channel in front, one deep, one of data, and a comment of two bytes.
  const counts: Bits[] = [[1, 4], [0, 4], [0, 4], [1, 2], [1, 3], [0, 4]];
  const program: Bits[] = [[5, 3], [0, 4], [1, 2], [8, 4], ...counts, [1, 1], [2, 4], [0, 1], [
    1,
    1,
  ]];
  program.push([5, 3], [0, 5], [0, 4], [0, 4], [0, 7], [2, 8], ...filled(2));
  const own: PartSpec = { channels };
  const frames: PartSpec[][] = [[own, ...silent], [...silent, own, silent[0]], [
    { bits: program },
    own,
  ]];
  const aligned: Bits[] = [[6, 3], [0, 4], [4, 3], [0, 4], [1, 1], [2, 8], [0, 1], ...filled(2)];
  frames.push([{ bits: aligned }, own]);
  await assertAsTwin(frames, rate);
  // Three channels: a single one, a pair; and a deep one, whose bits are a single one's.
  const both = [own, { channels: [...channels, ...channels] }];
  await assertAsTwin([both, both], rate);
});

Deno.test("addNoise() makes bands of AAC as loud as they say; pairs that are marked have the same", () => {
  const layout = { ...{ sequence: 2, shape: 0, bands: 3, groups: [1, 7], tnsBands: 14 } };
  const offsets = bandsOf(16000).short;
  const channel = (scales: number[], books = Array(6).fill(13)): Channel => ({
    layout: { ...layout, offsets },
    ...{ books: Uint8Array.from(books), scales: Float64Array.from(scales), filters: [] },
    spectrum: new Float64Array(1024),
  });
  const [left, right] = [channel([0, 8, -8, 40, 41, 4]), channel([4, 4, 0, 44, 0, 0])];
  const random = new Random();
  for (const each of [left, right]) addNoise(each, random);
  const apart = right.spectrum.slice();
  const energy = ({ spectrum }: Channel, window: number, band: number) =>
    spectrum.subarray(128 * window + offsets[band], 128 * window + offsets[band + 1])
      .reduce((sum, value) => sum + value * value, 0);
  for (const each of [left, right]) {
    for (let window = 0; window < 8; window++) {
      for (let band = 0; band < 3; band++) {
        const expected = 2 ** (each.scales[(window > 0 ? 3 : 0) + band] / 2);
        assertLess(Math.abs(energy(each, window, band) / expected - 1), 1e-12);
      }
    }
  }
  joinPair(left, right, { marks: Uint8Array.of(1, 0, 0, 0, 0, 1), turns: true });
  assertEquals(right.spectrum.slice(0, 4), left.spectrum.slice(0, 4).map((value) => 2 * value));
  assertEquals(right.spectrum.slice(4, 8), apart.slice(4, 8));
  assertEquals(
    right.spectrum.slice(136, 140),
    left.spectrum.slice(136, 140).map((value) => value / 2),
  );
  // It is noise: both signs, no value twice.
  const values = [...apart.subarray(128, 132), ...left.spectrum.subarray(128, 132)];
  assertEquals(new Set(values).size, 8);
  assert(values.some((value) => value < 0) && values.some((value) => value > 0));
});

Deno.test("decodeSound() reads AAC's noise: 90 below the frame's scale, the first by nine bits", async () => {
  const rng = new Rng(4), rate = 48000, layout = long(0, 40);
  const noisy = {
    ...randomChannel(rng, layout, { rate, books: [13] }),
    scales: Array(40).fill(60),
  };
  const { values } = await decodeSound(adtsOf(Array(40).fill([{ channels: [noisy] }]), rate));
  let energy = 0;
  for (const value of values.subarray(1024)) energy += value * value;
  // Forty bands of an energy of 2^30 in each frame, by the transform's own scale.
  const expected = 40 * 2 ** 30 / 1024 / 2 ** 30 * 39 / 2;
  assertLess(Math.abs(energy / expected - 1), 0.05);
});

Deno.test("decodeSound() reads what ffmpeg has written as ffmpeg does", async () => {
  const files = [
    ["talk.m4a", 16000, 4000, [
      ...[-0.0192907, 0.383542, -0.2079976, 0.1214522, -0.0960938, -0.0413378, -0.0223038],
      ...[-0.0983965, -0.0135692, 0.0672813],
    ]],
    ["clicks.aac", 44100, 7168, [
      ...[-0.0030011, -0.0134974, -0.0085552, 0.0076466, -0.0059176, -0.0018211, 0.0008065],
      ...[0.0000923, 0.0002034, 0.0017089, -0.0068048, 0.020093, 0.0045753, -0.0103697, 0.0050814],
      ...[0.0029762, 0, 0],
    ]],
  ] as const;
  for (const [name, rate, count, some] of files) {
    const { rate: found, values } = await decodeSound(soundFile(name));
    assertEquals([found, values.length], [rate, count]);
    const own = [...values].filter((_, i) => i % 397 === 200);
    assertLess(Math.max(...own.map((value, i) => Math.abs(value - some[i]))), 1e-7);
  }
});
