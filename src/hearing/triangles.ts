/** Bands by the older formula of mels. Knows no sounds. */
import { BINS, LENGTH } from "./fourier.ts";
import { type MelFilter, RATE } from "./spectrogram.ts";

/** From one band's middle to the next one's, of the same height. */
export function triangles(bands: number): MelFilter[] {
  const most = melOf(RATE / 2);
  const edges = Array.from({ length: bands + 2 }, (_, i) => hertzOf(most * i / (bands + 1)));
  return Array.from({ length: bands }, (_, band) => {
    const [low, middle, high] = edges.slice(band, band + 3);
    const weights = Array.from({ length: BINS }, (_, bin) => {
      const hertz = bin * RATE / LENGTH;
      return Math.max(
        0,
        Math.min((hertz - low) / (middle - low), (high - hertz) / (high - middle)),
      );
    });
    const first = Math.max(0, weights.findIndex((weight) => weight > 0));
    const end = weights.findLastIndex((weight) => weight > 0) + 1;
    return { first, weights: Float64Array.from(weights.slice(first, end)) };
  });
}

function melOf(hertz: number): number {
  return 2595 * Math.log10(1 + hertz / 700);
}

function hertzOf(mel: number): number {
  return 700 * (10 ** (mel / 2595) - 1);
}
