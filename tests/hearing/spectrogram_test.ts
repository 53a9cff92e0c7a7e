/** Whisper's spectrogram beside its definition. */
import { assertEquals, assertLess } from "@std/assert";
import { spectrogram } from "../../src/hearing/spectrogram.ts";
import { tone } from "../support/sound_files.ts";

const MEL_OF_KHZ = 15, LOG_STEP = Math.log(6.4) / 27;
const mel = (f: number) => f < 1000 ? f * 3 / 200 : MEL_OF_KHZ + Math.log(f / 1000) / LOG_STEP;
const hertz = (m: number) => m < 15 ? m * 200 / 3 : 1000 * Math.exp((m - 15) * LOG_STEP);

/** Frame by frame a discrete Fourier transform, as it is written down. */
function defined(x: Float32Array, frames: number, bands: number): Float64Array {
  const edges = Array.from({ length: bands + 2 }, (_, i) => hertz(mel(8000) * i / (bands + 1)));
  const levels = new Float64Array(frames * bands);
  for (let frame = 0; frame < frames; frame++) {
    const powers = Array.from({ length: 201 }, (_, bin) => {
      let re = 0, im = 0;
      for (let i = 0; i < 400; i++) {
        const window = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / 400);
        const value = window * (x[Math.abs(160 * frame - 200 + i)] ?? 0);
        re += value * Math.cos(2 * Math.PI * bin * i / 400);
        im += value * Math.sin(2 * Math.PI * bin * i / 400);
      }
      return re * re + im * im;
    });
    for (let band = 0; band < bands; band++) {
      const [low, middle, high] = edges.slice(band, band + 3);
      const energy = powers.reduce((sum, power, bin) => {
        const f = 40 * bin;
        const share = f <= middle ? (f - low) / (middle - low) : (high - f) / (high - middle);
        return sum + Math.max(0, share) * 2 / (high - low) * power;
      }, 0);
      levels[frame * bands + band] = Math.log10(Math.max(1e-10, energy));
    }
  }
  const floor = Math.max(...levels) - 8;
  return levels.map((level) => (Math.max(level, floor) + 4) / 4);
}

Deno.test("spectrogram() is as Whisper's is defined, before a sound's end and behind it", () => {
  const sweep = Float32Array.from(
    { length: 1300 },
    (_, i) => 0.3 * Math.sin(i * i / 900) + 0.1 * Math.cos(i),
  );
  for (const bands of [80, 128]) {
    const [frames, expected] = [11, defined(sweep, 11, bands)];
    const found = spectrogram(sweep, { frames, bands });
    const worst = Math.max(...found.map((value, i) => Math.abs(value - expected[i])));
    assertLess(worst, 1e-6);
  }
});

Deno.test("spectrogram() mirrors a sound at both ends where that is asked for", () => {
  const sound = Float32Array.from({ length: 700 }, (_, i) => 0.3 * Math.sin(i * i / 900));
  // The same, written out behind its end.
  const longer = Float32Array.from({ length: 900 }, (_, i) => sound[i < 700 ? i : 1398 - i]);
  const of = { frames: 5, bands: 80 };
  assertEquals(spectrogram(sound, { ...of, isMirrored: true }), spectrogram(longer, of));
  // Of a short one there is not enough for that.
  const short = spectrogram(sound.subarray(0, 90), { ...of, isMirrored: true });
  assertEquals(short.every(Number.isFinite), true);
});

Deno.test("spectrogram() of silence is one level, of a tone highest in its band", () => {
  const silence = spectrogram(new Float32Array(800), { frames: 5, bands: 80 });
  assertEquals(new Set(silence), new Set([-1.5]));
  const frame = spectrogram(tone(800, { hertz: 1000 }), { frames: 5, bands: 80 }).subarray(
    160,
    240,
  );
  // 45.2 mels are 81 steps: 1 kHz is the 27th of them.
  assertEquals(frame.indexOf(Math.max(...frame)), 26);
});
