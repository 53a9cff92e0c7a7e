/** The spectrogram of NVIDIA's encoders beside its definition. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { evenMels } from "../../src/hearing/even_mels.ts";

const mel = (f: number) => f < 1000 ? f * 3 / 200 : 15 + Math.log(f / 1000) * 27 / Math.log(6.4);
const hertz = (m: number) => m < 15 ? m * 200 / 3 : 1000 * Math.exp((m - 15) * Math.log(6.4) / 27);

/** A frame's discrete Fourier transform, as it is written down, before bands are made even. */
function defined(sound: Float32Array, frame: number, bands: number): number[] {
  const x = sound.map((value, i) => i === 0 ? value : value - 0.97 * sound[i - 1]);
  const edges = Array.from({ length: bands + 2 }, (_, i) => hertz(mel(8000) * i / (bands + 1)));
  const powers = Array.from({ length: 257 }, (_, bin) => {
    let re = 0, im = 0;
    for (let i = 0; i < 400; i++) {
      const window = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / 400);
      const value = window * (x[160 * frame - 200 + i] ?? 0);
      re += value * Math.cos(2 * Math.PI * bin * i / 512);
      im += value * Math.sin(2 * Math.PI * bin * i / 512);
    }
    return re * re + im * im;
  });
  return Array.from({ length: bands }, (_, band) => {
    const [low, middle, high] = edges.slice(band, band + 3);
    const sum = powers.reduce((all, power, bin) => {
      const f = 31.25 * bin;
      const share = f <= middle ? (f - low) / (middle - low) : (high - f) / (high - middle);
      return all + Math.max(0, share) * 2 / (high - low) * power;
    }, 0);
    return Math.log(Math.max(2 ** -24, sum));
  });
}

Deno.test("evenMels() is as it is defined, a frame of zeros behind the last one", () => {
  const [bands, frames] = [40, 8];
  const sweep = Float32Array.from(
    { length: 160 * frames + 99 },
    (_, i) => 0.3 * Math.sin(i * i / 900) + 0.1 * Math.cos(i),
  );
  const found = evenMels(sweep, bands);
  assertEquals(found.length, (frames + 1) * bands);
  assertEquals(new Set(found.subarray(frames * bands)), new Set([0]));
  const levels = Array.from({ length: frames }, (_, frame) => defined(sweep, frame, bands));
  for (let band = 0; band < bands; band++) {
    const own = levels.map((frame) => frame[band]);
    const mean = own.reduce((a, b) => a + b) / frames;
    const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (frames - 1);
    own.forEach((value, frame) => {
      const expected = (value - mean) / Math.sqrt(variance + 1e-5);
      assertLess(Math.abs(found[frame * bands + band] - expected), 1e-4, `${frame}, ${band}`);
    });
  }
});

Deno.test("evenMels() of sounds without a frame, with one and of silence are finite", () => {
  for (const length of [1, 159, 160, 319, 5000]) {
    const found = evenMels(new Float32Array(length), 20);
    assertEquals(found.length, (Math.floor(length / 160) + 1) * 20);
    assert(found.every((value) => Math.abs(value) < 1e-9), `${length}`);
  }
});
