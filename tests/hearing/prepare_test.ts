/** Sounds as towers read them. */
import { assertEquals, assertLess, assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { evenMels } from "../../src/hearing/even_mels.ts";
import { givenMels } from "../../src/hearing/given_mels.ts";
import { logMels } from "../../src/hearing/log_mels.ts";
import { prepareSamples, prepareSound } from "../../src/hearing/prepare.ts";
import { loudestMels } from "../../src/hearing/loudest_mels.ts";
import { spectrogram } from "../../src/hearing/spectrogram.ts";
import type { SoundConfig } from "../../src/model/mod.ts";
import { nmse } from "../support/compare.ts";
import { tone, writeWav } from "../support/sound_files.ts";

const D = 2, POSITIONS = 24;
const TABLES = {
  positions: Float32Array.from({ length: D * POSITIONS }, (_, i) => i),
  ...{ classTokens: null, patchBias: null },
};

const CONFIGS: Readonly<Record<string, SoundConfig>> = {
  gemma4a: configOf("gemma4a", { positions: null, framesOfRow: 4, rowsMax: 5 }),
  gemma4ua: configOf("gemma4ua", {
    ...{ melCount: 0, samplesOfRow: 160, positions: null, isPadded: true },
  }),
  glma: configOf("glma", {
    ...{ rowsOfOne: 4, isWhole: true, around: { begin: "v.boi", end: "v.eoi" } },
  }),
  granite_speech: configOf("granite_speech", {
    ...{ positions: null, framesOfRow: 2, rowsMax: 10, spectrum: "loudest" },
    windows: { rows: 5, queryCount: 2 },
  }),
  lfm2a: configOf("lfm2a", { positions: null, framesOfRow: 8, rowsMax: 5, spectrum: "even" }),
  meralion: configOf("meralion", { rowsOfOne: 4, isWhole: true }),
  musicflamingo: configOf("musicflamingo", { rowsOfOne: 2 }),
  parakeet: configOf("parakeet", {
    ...{ positions: null, framesOfRow: 8, rowsMax: 5, spectrum: "given" },
    filters: { window: "a.window", bands: "a.mel_filters" },
  }),
  "qwen2.5o": configOf("qwen2.5o", { rowsOfOne: 2, rowsMax: 10 }),
  qwen2a: configOf("qwen2a", { rowsOfOne: 2 }),
  qwen3a: configOf("qwen3a", { rowsMax: 26, pieces: { frames: 100, rows: 13, framesOfRow: 8 } }),
  ultravox: configOf("ultravox", { rowsOfOne: 8, isPadded: true }),
  voxtral: configOf("voxtral", { rowsOfOne: 4, isWhole: true }),
};

function configOf(projector: string, of: Partial<SoundConfig>): SoundConfig {
  const positions = { tensor: "p", count: POSITIONS };
  const common = {
    melCount: 8,
    rowsMax: POSITIONS,
    positions,
    rowsOfOne: 1,
    isPadded: false,
    isWhole: false,
  };
  return { ...common, projector, ...of };
}

/** Of a sound of so many frames: rows of each part of a tower, and what stands in the prompt. */
function shown(name: string, frames: number): [counts: number[], layout: (string | number)[]] {
  const { tiles, layout } = prepareSamples(tone(160 * frames - 3), CONFIGS[name], TABLES);
  for (const { count, kept, patches, added } of tiles) {
    assertEquals([kept, patches.length], [count, count * 2 * 3 * 8]);
    assertEquals(added, TABLES.positions.slice(0, count * D));
  }
  return [
    tiles.map(({ count }) => count),
    layout.map((part) => {
      if ("text" in part) return part.text;
      if ("tile" in part) return part.count;
      assertEquals([part.first, part.count], [0, 1]);
      return part.tensor;
    }),
  ];
}

Deno.test("prepareSamples() cuts sounds where positions end, and says how many rows come out", () => {
  const [begin, end] = ["<|audio_bos|>", "<|audio_eos|>"];
  assertEquals(shown("qwen2a", 1), [[2], [begin, 1, end]]);
  assertEquals(shown("qwen2a", 48), [[24], [begin, 12, end]]);
  assertEquals(shown("qwen2a", 53), [[24, 4], [begin, 12, 2, end]]);
  assertEquals(shown("qwen2.5o", 53), [[10, 10, 8], [begin, 5, 5, 4, end]]);
  assertEquals(shown("ultravox", 5), [[3], [1]]);
  assertEquals(shown("ultravox", 65), [[24, 9], [3, 2]]);
  const glma = ["v.boi", 6, "v.eoi"];
  assertEquals(shown("glma", 25), [[24], glma]);
  assertEquals(shown("glma", 49), [[24, 24], [...glma, ...glma]]);
  assertEquals(shown("meralion", 7), [[24], [6]]);
  assertEquals(shown("musicflamingo", 53), [[24, 4], ["<sound>", 12, 2]]);
  assertEquals(shown("voxtral", 1), [[24], ["[BEGIN_AUDIO]", 6]]);
  assertEquals(shown("voxtral", 49), [[24, 24], ["[BEGIN_AUDIO]", 6, 6]]);
});

Deno.test("prepareSamples() lays three frames side by side, band by band, and none beyond a part", () => {
  const samples = tone(160 * 50, { hertz: 700 });
  const { tiles } = prepareSamples(samples, CONFIGS.qwen2a, TABLES);
  const all = spectrogram(samples, { frames: 52, bands: 8 });
  const at = (tile: number, frame: number, band: number, tap: number) =>
    tiles[tile].patches[(frame * 8 + band) * 3 + tap];
  const frameOf = (frame: number, band: number) => all[frame * 8 + band];
  assertEquals([0, 1, 2].map((tap) => at(0, 7, 5, tap)), [6, 7, 8].map((f) => frameOf(f, 5)));
  assertEquals([0, 1, 2].map((tap) => at(0, 0, 3, tap)), [0, frameOf(0, 3), frameOf(1, 3)]);
  assertEquals([0, 1, 2].map((tap) => at(0, 47, 3, tap)), [frameOf(46, 3), frameOf(47, 3), 0]);
  assertEquals([0, 1, 2].map((tap) => at(1, 0, 2, tap)), [0, frameOf(48, 2), frameOf(49, 2)]);
});

Deno.test("prepareSamples() lays pieces of frames, and counts rows of the last one by its own", () => {
  const shownOf = (samples: number) => {
    const { tiles, layout } = prepareSamples(tone(samples), CONFIGS.qwen3a, TABLES);
    return {
      ...{ tiles, counts: tiles.map(({ count }) => count) },
      texts: layout.map((part) => "text" in part ? part.text : part.count),
    };
  };
  const [begin, end] = ["<|audio_start|>", "<|audio_end|>"];
  // Frames are whole ones; a sound of none has one.
  assertEquals(shownOf(9).texts, [begin, 1, end]);
  assertEquals(shownOf(160 * 100).texts, [begin, 13, end]);
  assertEquals(shownOf(160 * 101 - 1).texts, [begin, 13, end]);
  assertEquals(shownOf(160 * 101).texts, [begin, 14, end]);
  const samples = 160 * 409 + 7;
  const { tiles, counts, texts } = shownOf(samples);
  assertEquals([counts, texts], [[26, 26, 2], [begin, 26, 26, 2, end]]);
  const all = spectrogram(tone(samples), { frames: 409, bands: 8, isMirrored: true });
  const frameOf = (
    tile: number,
    place: number,
  ) => [...tiles[tile].patches.subarray(place * 8, place * 8 + 8)];
  const given = (frame: number) => [...all.subarray(frame * 8, frame * 8 + 8)];
  const nothing = Array(8).fill(0);
  assertEquals([frameOf(0, 99), frameOf(0, 100)], [given(99), nothing]);
  assertEquals([frameOf(1, 104), frameOf(2, 8)], [given(300), given(408)]);
  assertEquals(frameOf(2, 9), nothing);
  assertEquals(tiles[1].added!.slice(13 * D), TABLES.positions.slice(0, 13 * D));
  assertEquals(tiles[2].added, TABLES.positions.slice(0, 2 * D));
});

Deno.test("prepareSamples() makes rows of four frames, of which the last may have fewer", () => {
  const shownOf = (samples: number) => {
    const { tiles, layout } = prepareSamples(tone(samples), CONFIGS.gemma4a, TABLES);
    for (const { count, kept, added, positions } of tiles) {
      assertEquals([kept, added, positions], [count, null, null]);
    }
    return {
      ...{ tiles, sizes: tiles.map(({ count, patches }) => [count, patches.length / 8]) },
      texts: layout.map((part) => "text" in part ? part.text : part.count),
    };
  };
  const [begin, end] = ["<|audio>", "<audio|>"];
  assertEquals(shownOf(9), { ...shownOf(9), sizes: [[1, 1]], texts: [begin, 1, end] });
  assertEquals(shownOf(160 * 5 + 1).sizes, [[2, 5]]);
  // A part is of 20 frames' samples, and hears nothing of the others.
  const { tiles, sizes, texts } = shownOf(160 * 47);
  assertEquals([sizes, texts], [[[5, 19], [5, 19], [2, 6]], [begin, 5, 5, 2, end]]);
  const second = logMels(tone(160 * 47).slice(160 * 20, 160 * 40), 8);
  assertEquals(tiles[1].patches, second);
});

Deno.test("prepareSamples() makes bands of a whole sound even before it is cut", () => {
  const filters = {
    window: Float32Array.from({ length: 400 }, (_, i) => 1 / (i + 1)),
    bands: Float32Array.from({ length: 8 * 257 }, (_, i) => i % 7),
  };
  const sound = tone(160 * 47);
  const all = { lfm2a: evenMels(sound, 8), parakeet: givenMels(sound, filters) };
  for (const [kind, mels] of Object.entries(all)) {
    const { tiles, layout } = prepareSamples(sound, CONFIGS[kind], { ...TABLES, filters });
    assertEquals(layout.map((part) => "text" in part ? part.text : part.count), [5, 1]);
    assertEquals(mels.length, 48 * 8);
    assertEquals(tiles.map(({ patches }) => patches), [mels.slice(0, 320), mels.slice(320)]);
  }
});

Deno.test("prepareSamples() lays two frames side by side, and counts queries of windows", () => {
  const shownOf = (samples: number) => {
    const { tiles, layout } = prepareSamples(tone(samples), CONFIGS.granite_speech, TABLES);
    return [tiles.map(({ count }) => count), layout.map((part) => "text" in part ? 0 : part.count)];
  };
  // The last one of an odd number of frames is left out; a sound of one has two.
  assertEquals(shownOf(0), [[1], [2]]);
  assertEquals(shownOf(160 * 2 - 1), [[1], [2]]);
  assertEquals(shownOf(160 * 11), [[6], [4]]);
  assertEquals(shownOf(160 * 42), [[10, 10, 1], [4, 4, 2]]);
  const { tiles } = prepareSamples(tone(160 * 42), CONFIGS.granite_speech, TABLES);
  const all = loudestMels(tone(160 * 42), 8, 2);
  assertEquals(tiles.flatMap(({ patches }) => [...patches]), [...all]);
});

Deno.test("prepareSamples() leaves samples as they are where no tower hears them", () => {
  const samples = tone(160 * 53 - 3);
  const { tiles, layout } = prepareSamples(samples, CONFIGS.gemma4ua, TABLES);
  assertEquals(layout, [
    { text: "<|audio>" },
    ...[24, 24, 5].map((count, tile) => ({ tile, first: 0, count, grid: null })),
    { text: "<audio|>" },
  ]);
  assertEquals(tiles.map(({ count, kept, added }) => [count, kept, added]), [
    ...[[24, 24, null], [24, 24, null], [5, 5, null]],
  ]);
  const all = tiles.flatMap(({ patches }) => [...patches]);
  assertEquals(all, [...samples, 0, 0, 0]);
});

Deno.test("prepareSound() hears the same at another rate, and knows its kinds", async () => {
  const [own, other] = await Promise.all([16000, 48000].map(async (rate) => {
    const file = writeWav({ values: tone(rate / 4, { rate }), rate, bits: 32, isFloat: true });
    return (await prepareSound(file, CONFIGS.qwen2a, TABLES)).tiles[0].patches;
  }));
  assertLess(nmse(own.subarray(300, 1100), Float64Array.from(other.subarray(300, 1100))), 1e-2);
  assertThrows(
    () => prepareSamples(tone(9), configOf("ears", {}), TABLES),
    UnsupportedModelError,
    '"ears"',
  );
});
