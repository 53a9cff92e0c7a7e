/** What comes out for pixels, beside llama.cpp's mtmd 0.5.0 (its sums: all floats are equal). */
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
    [1, 90, "16", 3765904763],
    [133, 77, "16", 380668889],
    [40, 100, "16", 267040224],
  ],
  gemma3nv: [
    [1, 1, "256", 1724054793],
    [40, 100, "256", 2855766523],
    [900, 200, "256", 4047215593],
  ],
  step3vl: [
    [1, 1, "2704", 4271373260],
    [40, 100, "3 x 1296, 2704", 2545913958],
    [900, 200, "5 x 1296, 2704", 3260787590],
  ],
  granite4_vision: [
    [1, 1, "3 x 64", 1550978912],
    [77, 45, "5 x 64", 1174197496],
    [200, 10, "4 x 64", 2239837820],
  ],
  gemma4v: [
    [1, 1, "441", 3432495488],
    [1, 90, "540", 4203712303],
    [133, 77, "405", 2386040136],
    [40, 100, "396", 2837005317],
  ],
  gemma4uv: [
    [1, 1, "49", 166917999],
    [133, 77, "45", 3783699551],
    [40, 100, "44", 2994805775],
  ],
  lightonocr: [
    [1, 1, "144", 880775820],
    [1, 90, "24", 412391739],
    [133, 77, "96", 401053843],
    [40, 100, "72", 1261472154],
  ],
  mlp: [
    [1, 1, "9", 3503960549],
    [1, 90, "9", 2773623359],
    [133, 77, "9", 158640885],
    [40, 100, "9", 3122663296],
  ],
  "LLaVA 1.6": [
    [1, 1, "9", 3503960549],
    [1, 90, "4 x 9", 1523175530],
    [133, 77, "5 x 9", 330352529],
    [40, 100, "4 x 9", 2126584772],
  ],
  ldpv2: [
    [1, 1, "16", 1077913250],
    [133, 77, "16", 3696887948],
  ],
  janus_pro: [
    [1, 1, "9", 3325393177],
    [1, 90, "9", 973631574],
    [133, 77, "9", 1397549928],
    [40, 100, "9", 3397637618],
  ],
  deepseekocr: [
    [1, 1, "4096", 1854395759],
    [641, 300, "2 x 1600, 4096", 715684235],
  ],
  deepseekocr2: [
    [1, 1, "4096", 1854395759],
    [900, 300, "3 x 2304, 4096", 1696926302],
  ],
  idefics3: [
    [1, 1, "10 x 16", 916191740],
    [1, 90, "4 x 16", 432767210],
    [133, 77, "7 x 16", 3088227973],
    [40, 100, "4 x 16", 4011172738],
  ],
  internvl: [
    [1, 1, "16", 521290787],
    [1, 90, "3 x 16", 4220134331],
    [133, 77, "7 x 16", 2658294380],
    [40, 100, "3 x 16", 3327804684],
  ],
  nemotron_v2_vl: [
    [1, 1, "16", 1675639682],
    [1, 90, "16", 3850731410],
    [133, 77, "16", 2776760113],
    [40, 100, "16", 1725727671],
  ],
  pixtral: [
    [1, 1, "9", 1625930896],
    [1, 90, "27", 2667435761],
    [133, 77, "40", 1655288191],
    [40, 100, "18", 3846881208],
  ],
  kimivl: [
    [1, 1, "36", 325359291],
    [1, 90, "108", 2417570668],
    [133, 77, "60", 3767570754],
    [40, 100, "40", 3063989248],
  ],
  qwen2vl_merger: [
    [1, 1, "36", 136340127],
    [1, 90, "108", 229295290],
    [133, 77, "60", 4010075465],
    [40, 100, "40", 3885068774],
  ],
  llama4: [
    [1, 1, "16", 902560915],
    [1, 90, "3 x 16", 2880632504],
    [133, 77, "7 x 16", 2423198274],
    [40, 50, "16", 2734404412],
    [20, 160, "4 x 16", 1694608248],
  ],
  youtuvl: [
    [1, 1, "4", 3072100555],
    [133, 77, "60", 2770700422],
    [300, 200, "216", 1062560268],
    [500, 33, "128", 2446890422],
  ],
  hunyuanvl: [
    [1, 90, "108", 2881554529],
    [133, 77, "32", 1567102918],
    [300, 200, "216", 1264904992],
    [33, 500, "64", 1260837624],
  ],
  glm4v: [
    [1, 1, "36", 136340127],
    [1, 90, "108", 229295290],
    [133, 77, "60", 4010075465],
    [40, 100, "40", 3885068774],
  ],
  kimik25: [
    [1, 1, "16", 902560915],
    [1, 90, "12", 4220859560],
    [133, 77, "60", 3767570754],
    [40, 100, "16", 3792418414],
  ],
  mimovl: [
    [1, 1, "36", 3132618154],
    [1, 90, "108", 1732983692],
    [133, 77, "32", 4109526476],
    [40, 100, "40", 2792940746],
  ],
  exaone4_5: [
    [1, 1, "36", 136340127],
    [1, 90, "108", 229295290],
    [133, 77, "60", 4010075465],
    [40, 100, "40", 3885068774],
  ],
  qwen3vl_merger: [
    [1, 1, "36", 3132618154],
    [1, 90, "108", 1732983692],
    [133, 77, "32", 4109526476],
    [40, 100, "40", 2792940746],
  ],
  adapter: [
    [1, 1, "16", 902560915],
    [133, 77, "16", 2777393001],
    [40, 100, "16", 167935562],
  ],
  "minimax_m3": [
    [1, 1, "36", 325359291],
    [1, 90, "108", 2767310860],
    [133, 77, "60", 1079964953],
    [40, 100, "40", 3063989248],
  ],
  "muse-glimmer": [
    [1, 1, "4", 2840525467],
    [1, 90, "16", 1238158635],
    [133, 77, "60", 3353096338],
    [40, 100, "32", 1802431175],
    [300, 200, "216", 210257457],
    [500, 33, "68", 1186523708],
  ],
  "minicpmv4_6": [
    [120, 120, "2 x 48, 64", 1788456298],
    [300, 200, "7 x 64", 2135698275],
    [1, 1, "64", 2847261991],
  ],
  "minicpmv4_6-four": [
    [20, 20, "16", 2105518584],
    [133, 77, "5 x 24", 1773043688],
    [40, 100, "3 x 16, 12", 291183452],
  ],
  resampler: [
    [40, 50, "16", 375952373],
    [133, 77, "5 x 15", 1997917692],
    [40, 100, "3 x 16, 18", 2413256419],
    [57, 57, "2 x 15, 16", 2763234847],
  ],
  lfm2: [
    [30, 20, "24", 2364485828],
    [1200, 400, "3 x 1024, 48", 3633056254],
    [144, 240, "60", 1847073177],
    [208, 176, "4 x 1024, 48", 3083228829],
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
