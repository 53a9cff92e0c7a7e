/** The spectrogram of Parakeet beside its definition. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { givenMels } from "../../src/hearing/given_mels.ts";

const BANDS = 3, FRAMES = 5;
const WINDOW = Float32Array.from({ length: 400 }, (_, i) => 0.2 + Math.sin(i / 130));
const FILTERS = Float32Array.from({ length: BANDS * 257 }, (_, i) => (i * 7 % 11) / 900);

/** A frame's discrete Fourier transform, as it is written down: logarithms of energies. */
function defined(sound: Float32Array, frame: number): number[] {
  const x = sound.map((value, i) => i === 0 ? value : value - 0.97 * sound[i - 1]);
  const powers = Array.from({ length: 257 }, (_, bin) => {
    let re = 0, im = 0;
    for (let i = 0; i < 400; i++) {
      const value = WINDOW[i] * (x[160 * frame - 200 + i] ?? 0);
      re += value * Math.cos(2 * Math.PI * bin * i / 512);
      im += value * Math.sin(2 * Math.PI * bin * i / 512);
    }
    return re * re + im * im;
  });
  return Array.from({ length: BANDS }, (_, band) => {
    const sum = powers.reduce((all, power, bin) => all + FILTERS[band * 257 + bin] * power, 0);
    return Math.log(sum + 2 ** -24);
  });
}

Deno.test("givenMels() is as it is defined, the last frame not being counted", () => {
  // So soft that what is added counts.
  const sound = Float32Array.from(
    { length: 160 * FRAMES + 99 },
    (_, i) => i < 300 ? 0 : 1e-3 * Math.sin(i * i / 900),
  );
  const found = givenMels(sound, { window: WINDOW, bands: FILTERS });
  assertEquals(found.length, (FRAMES + 1) * BANDS);
  const levels = Array.from({ length: FRAMES + 1 }, (_, frame) => defined(sound, frame));
  for (let band = 0; band < BANDS; band++) {
    const own = levels.map((frame) => frame[band]);
    const counted = own.slice(0, FRAMES);
    const mean = counted.reduce((a, b) => a + b) / FRAMES;
    const variance = counted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (FRAMES - 1);
    const deviation = Math.sqrt(variance) + 1e-5;
    own.forEach((level, frame) => {
      assertLess(Math.abs(found[frame * BANDS + band] - (level - mean) / deviation), 1e-4);
    });
  }
});

Deno.test("givenMels() divides by what is added where nothing differs", () => {
  const silent = givenMels(new Float32Array(700), { window: WINDOW, bands: FILTERS });
  assertEquals(new Set(silent), new Set([0]));
  for (const length of [0, 1, 160]) {
    const found = givenMels(new Float32Array(length).fill(0.1), { window: WINDOW, bands: FILTERS });
    assert(found.length === (length < 160 ? 1 : 2) * BANDS && found.every(Number.isFinite));
  }
});
