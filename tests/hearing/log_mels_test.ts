/** Gemma's spectrogram beside its definition. */
import { assertEquals, assertLess } from "@std/assert";
import { logMelFrames, logMels } from "../../src/hearing/log_mels.ts";
import { tone } from "../support/sound_files.ts";

const mel = (f: number) => 2595 * Math.log10(1 + f / 700);
const hertz = (m: number) => 700 * (10 ** (m / 2595) - 1);

/** A frame's discrete Fourier transform, as it is written down. */
function defined(x: Float32Array, frame: number, bands: number): number[] {
  const edges = Array.from({ length: bands + 2 }, (_, i) => hertz(mel(8000) * i / (bands + 1)));
  const levels = Array.from({ length: 257 }, (_, bin) => {
    let re = 0, im = 0;
    for (let i = 0; i < 320; i++) {
      const window = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / 320);
      const value = window * (x[160 * frame - 160 + i] ?? 0);
      re += value * Math.cos(2 * Math.PI * bin * i / 512);
      im += value * Math.sin(2 * Math.PI * bin * i / 512);
    }
    return Math.sqrt(re * re + im * im);
  });
  return Array.from({ length: bands }, (_, band) => {
    const [low, middle, high] = edges.slice(band, band + 3);
    const sum = levels.reduce((all, level, bin) => {
      const f = 31.25 * bin;
      const share = f <= middle ? (f - low) / (middle - low) : (high - f) / (high - middle);
      return all + Math.max(0, share) * level;
    }, 0);
    return Math.log(Math.max(1e-3, sum));
  });
}

Deno.test("logMels() is as it is defined, from before a sound's beginning to its end", () => {
  const sweep = Float32Array.from(
    { length: 1300 },
    (_, i) => 0.3 * Math.sin(i * i / 900) + 0.1 * Math.cos(i),
  );
  for (const bands of [10, 128]) {
    const found = logMels(sweep, bands);
    assertEquals(found.length, 8 * bands);
    const expected = Array.from({ length: 8 }, (_, frame) => defined(sweep, frame, bands)).flat();
    const worst = Math.max(...found.map((value, i) => Math.abs(value - expected[i])));
    assertLess(worst, 1e-5);
  }
});

Deno.test("logMelFrames() are those whose windows end before the sound does, one at least", () => {
  assertEquals([1, 160, 161, 320, 321, 480, 481].map(logMelFrames), [1, 1, 1, 1, 2, 2, 3]);
  assertEquals(logMelFrames(480_000), 2999);
});

Deno.test("logMels() of silence is one level, of a tone highest in its band", () => {
  assertEquals(new Set(logMels(new Float32Array(800), 40)), new Set([Math.fround(Math.log(1e-3))]));
  const frame = logMels(tone(1600, { hertz: 1000 }), 40).subarray(160, 200);
  // 1,000 of 2,840 mels are 41 steps: 1 kHz is between the 14th and the 15th of them.
  assertEquals(frame.indexOf(Math.max(...frame)), 13);
});
