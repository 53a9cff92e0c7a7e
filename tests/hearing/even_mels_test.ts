/** The spectrogram of NVIDIA's encoders beside its definition. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { evenMels } from "../../src/hearing/even_mels.ts";

const [BANDS, FRAMES] = [40, 8];

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
  const sweep = Float32Array.from(
    { length: 160 * FRAMES + 99 },
    (_, i) => 0.3 * Math.sin(i * i / 900) + 0.1 * Math.cos(i),
  );
  const found = assertAsDefined(sweep);
  assertEquals(new Set(found.subarray(FRAMES * BANDS)), new Set([0]));
});

Deno.test("evenMels() has a floor of powers, and one of what bands differ by", () => {
  // Frames of silence, and so soft ones that some bands are below the floor.
  const soft = Float32Array.from(
    { length: 160 * FRAMES },
    (_, i) => i < 800 ? 0 : 2e-4 * Math.sin(i * i / 900),
  );
  const levels = defined(soft, FRAMES - 1, BANDS);
  const floor = Math.log(2 ** -24);
  assert(levels.some((level) => level === floor) && levels.some((level) => level > floor + 1));
  assertAsDefined(soft);
  // A tone of ten periods a hop that becomes a thousandth louder with each of them.
  const steady = Float32Array.from(
    { length: 160 * FRAMES + 400 },
    (_, i) => 0.3 * 1.001 ** (i / 160) * Math.sin(2 * Math.PI * i / 16),
  );
  assertAsDefined(steady.map((value, i) => value + 0.2 * Math.cos(2 * Math.PI * i / 5)));
});

function assertAsDefined(sound: Float32Array): Float32Array {
  const found = evenMels(sound, BANDS);
  const frames = Math.floor(sound.length / 160);
  assertEquals(found.length, (frames + 1) * BANDS);
  const levels = Array.from({ length: frames }, (_, frame) => defined(sound, frame, BANDS));
  for (let band = 0; band < BANDS; band++) {
    const own = levels.map((frame) => frame[band]);
    const mean = own.reduce((a, b) => a + b) / frames;
    const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (frames - 1);
    own.forEach((value, frame) => {
      const expected = (value - mean) / Math.sqrt(variance + 1e-5);
      assertLess(Math.abs(found[frame * BANDS + band] - expected), 1e-4, `${frame}, ${band}`);
    });
  }
  return found;
}

Deno.test("evenMels() of sounds without a frame, with one and of silence are finite", () => {
  for (const length of [1, 159, 160, 319, 5000]) {
    const found = evenMels(new Float32Array(length), 20);
    assertEquals(found.length, (Math.floor(length / 160) + 1) * 20);
    assert(found.every((value) => Math.abs(value) < 1e-9), `${length}`);
  }
});
