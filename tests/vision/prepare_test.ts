/** What comes out for pixels, beside llama.cpp's mtmd 0.12.9 (its sums: all floats are equal). */
import { assertEquals } from "@std/assert";
import { crc32 } from "../../src/base/crc32.ts";
import { prepareImage } from "../../src/vision/prepare.ts";
import type { Raster } from "../../src/vision/types.ts";
import { IMAGE_CONFIGS } from "./image_configs.ts";
import { seededImage } from "./seeded_image.ts";

type Kind = keyof typeof IMAGE_CONFIGS;

const NO_TABLES = { positions: null, classTokens: null, patchBias: null };

/** Width, height, patches of the tiles, and the CRC-32 of all patches, each with its tile's. */
const PEER: Record<Kind, readonly (readonly [number, number, string, number])[]> = {
  gemma3: [
    [1, 1, "16", 902560915],
    [1, 90, "16", 2277679313],
    [133, 77, "16", 4026471215],
    [40, 100, "16", 1905930305],
  ],
  gemma4v: [
    [1, 1, "441", 3432495488],
    [1, 90, "540", 253765005],
    [133, 77, "405", 3074584846],
    [40, 100, "396", 3975072828],
  ],
  gemma4uv: [
    [1, 1, "49", 166917999],
    [133, 77, "45", 2555996126],
    [40, 100, "44", 2298060142],
  ],
  lightonocr: [
    [1, 1, "144", 880775820],
    [1, 90, "24", 2542754731],
    [133, 77, "96", 1293813591],
    [40, 100, "72", 1978771081],
  ],
  mlp: [
    [1, 1, "9", 3503960549],
    [1, 90, "9", 1109764746],
    [133, 77, "9", 870242526],
    [40, 100, "9", 1896587733],
  ],
  "LLaVA 1.6": [
    [1, 1, "9", 3503960549],
    [1, 90, "4 x 9", 769879654],
    [133, 77, "5 x 9", 373307139],
    [40, 100, "4 x 9", 349033112],
  ],
  janus_pro: [
    [1, 1, "9", 3325393177],
    [1, 90, "9", 1374366606],
    [133, 77, "9", 683480398],
    [40, 100, "9", 3844307798],
  ],
  idefics3: [
    [1, 1, "10 x 16", 916191740],
    [1, 90, "4 x 16", 2508320602],
    [133, 77, "7 x 16", 189676693],
    [40, 100, "4 x 16", 3193140958],
  ],
  internvl: [
    [1, 1, "16", 521290787],
    [1, 90, "3 x 16", 1653640554],
    [133, 77, "7 x 16", 2086028502],
    [40, 100, "3 x 16", 3758088709],
  ],
  nemotron_v2_vl: [
    [1, 1, "16", 1675639682],
    [1, 90, "16", 911669179],
    [133, 77, "16", 4223279608],
    [40, 100, "16", 870642377],
  ],
  pixtral: [
    [1, 1, "9", 1625930896],
    [1, 90, "27", 2795122373],
    [133, 77, "40", 1552578740],
    [40, 100, "18", 1087112714],
  ],
  kimivl: [
    [1, 1, "36", 325359291],
    [1, 90, "108", 2487695548],
    [133, 77, "60", 1847449931],
    [40, 100, "40", 2606566208],
  ],
  qwen2vl_merger: [
    [1, 1, "36", 136340127],
    [1, 90, "108", 1099328109],
    [133, 77, "60", 4248937196],
    [40, 100, "40", 1500347982],
  ],
  llama4: [
    [1, 1, "16", 902560915],
    [1, 90, "3 x 16", 11544911],
    [133, 77, "7 x 16", 3331582527],
    [40, 50, "16", 4074437701],
    [20, 160, "4 x 16", 303950642],
  ],
  youtuvl: [
    [1, 1, "4", 3072100555],
    [133, 77, "60", 3881220708],
    [300, 200, "216", 2866220245],
    [500, 33, "128", 133409310],
  ],
  hunyuanvl: [
    [1, 90, "108", 3347610898],
    [133, 77, "32", 813972911],
    [300, 200, "216", 3400672529],
    [33, 500, "64", 1791143015],
  ],
  glm4v: [
    [1, 1, "36", 136340127],
    [1, 90, "108", 1099328109],
    [133, 77, "60", 4248937196],
    [40, 100, "40", 1500347982],
  ],
  kimik25: [
    [1, 1, "16", 902560915],
    [1, 90, "12", 3396346670],
    [133, 77, "60", 2730179114],
    [40, 100, "16", 2792111461],
  ],
  exaone4_5: [
    [1, 1, "36", 136340127],
    [1, 90, "108", 1601359347],
    [133, 77, "60", 1353118283],
    [40, 100, "40", 3869877266],
  ],
  qwen3vl_merger: [
    [1, 1, "36", 3132618154],
    [1, 90, "108", 155732269],
    [133, 77, "32", 3009938188],
    [40, 100, "40", 914385666],
  ],
  resampler: [
    [40, 50, "16", 3058529160],
    [133, 77, "5 x 15", 4196833373],
    [40, 100, "3 x 16, 18", 2702233928],
    [57, 57, "2 x 15, 16", 55463325],
  ],
  lfm2: [
    [30, 20, "24", 2059184896],
    [1200, 400, "3 x 1024, 48", 3091067555],
  ],
};

for (const [kind, cases] of Object.entries(PEER)) {
  for (const [width, height, counts, sum] of cases) {
    const name = `prepareImage() makes of ${width} · ${height} what llama.cpp does: ${kind}`;
    Deno.test(name, () => {
      const config = IMAGE_CONFIGS[kind as Kind];
      const { tiles } = prepareImage(seededImage(width, height), config, NO_TABLES);
      assertEquals(inRuns(tiles.map(({ kept }) => kept)), counts);
      const bytes = tiles.map(({ patches }) => new Uint8Array(patches.buffer));
      assertEquals(bytes.reduce((before, each) => crc32(each, before), 0), sum);
    });
  }
}

Deno.test("prepareImage() reads pixels from the bottom up, of four bytes, blue first", () => {
  const image = seededImage(40, 100);
  const config = IMAGE_CONFIGS.idefics3;
  const stored = fromBelow(image);
  assertEquals(
    prepareImage(stored, config, NO_TABLES),
    prepareImage(image, config, NO_TABLES),
  );
});

/** "3 x 9, 16" of 9, 9, 9 and 16. */
function inRuns(counts: readonly number[]): string {
  const runs: { count: number; times: number }[] = [];
  for (const count of counts) {
    const last = runs.at(-1);
    if (last?.count === count) last.times++;
    else runs.push({ count, times: 1 });
  }
  return runs.map(({ count, times }) => times === 1 ? `${count}` : `${times} x ${count}`).join(
    ", ",
  );
}

function fromBelow({ width, height, bytes }: Raster): Raster {
  const stored = new Uint8Array(4 * width * height + 5).fill(99);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        stored[5 + 4 * ((height - 1 - y) * width + x) + 2 - channel] =
          bytes[3 * (y * width + x) + channel];
      }
    }
  }
  return {
    ...{ width, height, bytes: stored, start: 5 + 4 * width * (height - 1) },
    ...{ rowStride: -4 * width, pixelStride: 4, channels: [2, 1, 0] },
  };
}
