/** The spectrogram of Granite Speech beside its definition. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { loudestMels } from "../../src/hearing/loudest_mels.ts";
import { spectrogram } from "../../src/hearing/spectrogram.ts";

const BANDS = 20;

const mel = (f: number) => 2595 * Math.log10(1 + f / 700);
const hertz = (m: number) => 700 * (10 ** (m / 2595) - 1);

/** A frame's discrete Fourier transform, as it is written down: logarithms of powers. */
function defined(sound: Float32Array, frame: number): number[] {
  const last = sound.length - 1;
  const edges = Array.from({ length: BANDS + 2 }, (_, i) => hertz(mel(8000) * i / (BANDS + 1)));
  const powers = Array.from({ length: 257 }, (_, bin) => {
    let re = 0, im = 0;
    for (let i = 0; i < 400; i++) {
      const at = Math.abs(160 * frame - 200 + i);
      const value = sound[at > last ? 2 * last - at : at] *
        (0.5 - 0.5 * Math.cos(Math.PI * i / 200));
      re += value * Math.cos(2 * Math.PI * bin * i / 512);
      im += value * Math.sin(2 * Math.PI * bin * i / 512);
    }
    return re * re + im * im;
  });
  return Array.from({ length: BANDS }, (_, band) => {
    const [low, middle, high] = edges.slice(band, band + 3);
    const sum = powers.reduce((all, power, bin) => {
      const f = 31.25 * bin;
      const share = f <= middle ? (f - low) / (middle - low) : (high - f) / (high - middle);
      return all + Math.max(0, share) * power;
    }, 0);
    return Math.log10(Math.max(1e-10, sum));
  });
}

Deno.test("loudestMels() is as it is defined, up to a mirror at each end", () => {
  const sweep = Float32Array.from({ length: 161 * 6 }, (_, i) => 0.3 * Math.sin(i * i / 900));
  // Frames that are 80 dB softer, and silence.
  const soft = sweep.map((value, i) => i < 700 ? value : i < 850 ? 1e-6 * value : 0);
  for (const sound of [sweep, soft]) {
    const found = loudestMels(sound, BANDS, 2);
    // Seven, of which the last one is no pair.
    const levels = Array.from({ length: 6 }, (_, frame) => defined(sound, frame));
    const floor = Math.max(...levels.flat()) - 8;
    assertEquals(found.length, 6 * BANDS);
    levels.flat().forEach((level, i) => {
      assertLess(Math.abs(found[i] - (Math.max(level, floor) + 4) / 4), 1e-5, `${i}`);
    });
    assert(sound === sweep || levels.flat().some((level) => level < floor));
  }
});

Deno.test("loudestMels() makes a row of whatever there is", () => {
  const other = spectrogram(new Float32Array(9), { frames: 2, bands: BANDS });
  assertEquals(loudestMels(new Float32Array(0), BANDS, 2), other);
  for (const length of [1, 2, 159, 319]) {
    const found = loudestMels(new Float32Array(length).fill(0.5), BANDS, 2);
    assert(found.length === 2 * BANDS && found.every(Number.isFinite), `${length}`);
  }
});
