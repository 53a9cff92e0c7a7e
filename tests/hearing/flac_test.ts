/** FLAC to samples. */
import { assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { decodeSound } from "../../src/hearing/decode.ts";
import { checkLength, SAMPLES_MAX, SECONDS_MAX } from "../../src/hearing/limits.ts";
import { type Bits, constant, verbatim, writeFlac } from "../support/flac_files.ts";
import { soundFile, tone } from "../support/sound_files.ts";

Deno.test("decodeSound() reads FLAC as its encoder wrote it, bit by bit", async () => {
  const mono = await decodeSound(soundFile("tone.flac"));
  assertEquals([mono.rate, mono.values.length], [16000, 1600]);
  const steps = mono.values.map((value, i) => value * 2 ** 15 - 0.4 * tone(1600)[i] * 2 ** 15);
  assertLess(Math.max(...steps.map(Math.abs)), 0.51);
  const stereo = await decodeSound(soundFile("stereo_24_bit.flac"));
  assertEquals([stereo.rate, stereo.values.length], [44100, 1500]);
  const expected = tone(1500, { rate: 44100 });
  // One of 24 bits, and what a tone of 32 bits has not.
  const worst = Math.max(...stereo.values.map((value, i) => Math.abs(value - 0.7 * expected[i])));
  assertLess(worst, 2 ** -22);
});

/** What one frame says, by `values` · 2^15. */
async function heard(
  subframes: readonly (readonly Bits[])[],
  { assignment = subframes.length - 1, count = 4 } = {},
): Promise<number[]> {
  const channels = subframes.length;
  const file = writeFlac({ channels, frames: [{ count, assignment, subframes }] });
  return [...(await decodeSound(file)).values].map((value) => value * 2 ** 15);
}

Deno.test("decodeSound() reads what encoders of FLAC seldom write", async () => {
  assertEquals(await heard([constant(-7)]), [-7, -7, -7, -7]);
  assertEquals(await heard([verbatim([1, -2, 3, -32768])]), [1, -2, 3, -32768]);
  assertEquals(await heard([verbatim([8, -16, 24, 0], 16, 3)]), [8, -16, 24, 0]);
  // The second of three channels says nothing.
  const three = [constant(3), constant(0), verbatim([0, 3, 6, 9])];
  assertEquals((await heard(three)).map(Math.round), [1, 2, 3, 4]);
  // Left 10 and right 4; a side has a bit more.
  const [left, right, side, middle] = [constant(10), constant(4), constant(6, 17), constant(7)];
  assertEquals(await heard([left, side], { assignment: 8 }), [7, 7, 7, 7]);
  assertEquals(await heard([side, right], { assignment: 9 }), [7, 7, 7, 7]);
  assertEquals(await heard([middle, side], { assignment: 10 }), [7, 7, 7, 7]);
  // Left 10 and right 5: the middle is 7, and a half.
  assertEquals(await heard([middle, constant(5, 17)], { assignment: 10 }), [7.5, 7.5, 7.5, 7.5]);
  // A line, by differences of differences, of which none is left; and what is left, unpacked.
  const line: Bits[] = [[10 << 1, 8], [5, 16], [7, 16], [0, 2], [0, 4], [0, 4], [3, 2]];
  assertEquals(await heard([line]), [5, 7, 9, 11]);
  const unpacked: Bits[] = [[9 << 1, 8], [5, 16], [0, 2], [0, 4], [15, 4], [3, 5]];
  assertEquals(await heard([[...unpacked, [1, 3], [-1, 3], [-4, 3]]]), [5, 6, 5, 1]);
  // Squares: a difference of three differences of which none is left.
  const squares: Bits[] = [[11 << 1, 8], [1, 16], [4, 16], [9, 16], [0, 2], [0, 4], [0, 4]];
  assertEquals(await heard([[...squares, [3, 2]]], { count: 5 }), [1, 4, 9, 16, 25]);
  // Forty zeros before a one.
  const zeros: Bits[] = [[8 << 1, 8], [0, 2], [0, 4], [0, 4], [0, 32], [1, 9], [7, 3]];
  assertEquals(await heard([zeros]), [20, 0, 0, 0]);
  // Weights 3/2 and -1, in two parts of parameters of five bits.
  const linear: Bits[] = [[33 << 1, 8], [4, 16], [8, 16], [3, 4], [1, 5], [3, 4], [-2, 4]];
  const left2: Bits[] = [[1, 2], [1, 4], [0, 5], [1, 5], [1, 1], [0, 1], [1, 1], [1, 1]];
  assertEquals(await heard([[...linear, ...left2]]), [4, 8, 8, 3]);
});

Deno.test("decodeSound() refuses FLAC that is damaged, or says more than it has", async () => {
  const ok = { count: 4, subframes: [constant(1)] };
  const file = writeFlac({ frames: [ok], total: 4 });
  const of = (...bits: Bits[]) => writeFlac({ frames: [{ count: 4, subframes: [bits] }] });
  const changed = (at: number, value: number) => file.with(at, value);
  const refused: readonly (readonly [Uint8Array, string])[] = [
    [file.subarray(0, 4), "ends within its sound"],
    [file.subarray(0, 30), "ends within a part of 34 bytes"],
    [file.subarray(0, file.length - 1), "ends within its sound"],
    [file.subarray(0, 42), "ends 4 samples before its sound does"],
    [writeFlac({ frames: [ok], total: 2 ** 35 }), "before its sound does"],
    [writeFlac({ frames: [{ ...ok, wrong: 1 }] }), "the frame at byte 42 is not what was written"],
    [writeFlac({ frames: [ok], bits: 32 }), "32 bits, where 4 to 24 are read"],
    [writeFlac({ frames: [ok], rate: 0 }), "0 samples a second"],
    [writeFlac({ frames: [ok], channels: 2 }), "other channels than the 2"],
    [writeFlac({ frames: [{ ...ok, assignment: 11 }] }), "other channels"],
    [changed(4, 0x81), "does not say what it is"],
    [changed(7, 33), "says in 33 bytes"],
    [changed(44, 0x0f), "has no size"],
    [changed(44, 0x7f), "has no rate"],
    [changed(46, 0x80), "has no number"],
    [of([0x80, 8]), "begins with a one"],
    [of([2 << 1, 8]), "unknown kind 2"],
    [of([1, 8], [0, 16], [1, 1]), "waste 17"],
    [of([0x21 << 1, 8], [0, 32], [15, 4]), "weights of no size"],
    [of([0x21 << 1, 8], [0, 32], [0, 4], [16, 5]), "shifted to the left"],
    [of([0x25 << 1, 8]), "a predictor of 6 samples stands in a frame of 4"],
    [of([8 << 1, 8], [2, 2]), "coded as 2"],
    [of([8 << 1, 8], [0, 2], [3, 4]), "in 8 parts"],
    [of([8 << 1, 8], [1, 2], [0, 4], [30, 5], [1, 5], [0, 30]), "32 bits"],
  ];
  for (const [damaged, message] of refused) {
    const error = await assertRejects(() => decodeSound(damaged), RequestError, message);
    assertEquals([error.status, error.code], [400, "invalid_audio"]);
  }
});

Deno.test("decodeSound() begins with no more of a long FLAC than sounds may have", async () => {
  // Each frame is a minute in 19 bytes.
  const frames = (count: number) => Array(count).fill({ count: 60000, subframes: [constant(9)] });
  const file = (count: number) => writeFlac({ rate: 1000, frames: frames(count) });
  const error = await assertRejects(() => decodeSound(file(11)), RequestError, "10 minutes");
  assertEquals(error.code, "audio_too_long");
  const { values } = await decodeSound(file(10));
  assertEquals([values.length, new Set(values)], [SECONDS_MAX * 1000, new Set([9 / 2 ** 15])]);
  // At high rates ten minutes would be a gigabyte.
  assertThrows(() => checkLength(SAMPLES_MAX + 1, 655_350), RequestError, "57,600,000 samples");
  checkLength(SAMPLES_MAX, 655_350);
});
