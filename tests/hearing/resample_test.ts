/** Samples at other rates. */
import { assertEquals, assertLess } from "@std/assert";
import { resample } from "../../src/hearing/resample.ts";
import { tone } from "../support/sound_files.ts";

const RATE = 16000;

/** Beside a tone at the new rate, without the ends. */
function worst(found: Float32Array, hertz: number, loudness = 1): number {
  const expected = tone(found.length, { hertz });
  return Math.max(
    ...found.subarray(400, found.length - 400).map((value, i) =>
      Math.abs(value - loudness * expected[400 + i])
    ),
  );
}

Deno.test("resample() keeps what both rates can have, and nothing above", () => {
  const rates = [8000, 11025, 16000, 22050, 44100, 48000];
  for (const rate of rates) {
    const found = resample({ rate, values: tone(rate / 5, { hertz: 1000, rate }) }, RATE);
    assertEquals(found.length, RATE / 5);
    assertLess(worst(found, 1000), 2e-4, `${rate}`);
  }
  for (const rate of [44100, 48000]) {
    const found = resample({ rate, values: tone(rate / 5, { hertz: 10000, rate }) }, RATE);
    assertLess(worst(found, 1000, 0), 1e-3, `${rate}`);
  }
});

Deno.test("resample() of rates without common divisors takes no more memory, and no less care", () => {
  const rate = 44101;
  const found = resample({ rate, values: tone(9000, { hertz: 1000, rate }) }, RATE);
  assertLess(worst(found, 1000), 2e-3);
});
