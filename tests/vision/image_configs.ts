/** What small projectors of each kind say of their images. */
import type { ImageConfig } from "../../src/model/vision_types.ts";

const HALF = { mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5] };
const CLIP = {
  mean: [0.48145466, 0.4578275, 0.40821073].map(Math.fround),
  deviation: [0.26862954, 0.26130258, 0.27577711].map(Math.fround),
};
const IMAGENET = {
  mean: [0.485, 0.456, 0.406].map(Math.fround),
  deviation: [0.229, 0.224, 0.225].map(Math.fround),
};

/** So many rows that come out at least and at most. */
function rows(least: number, most: number, rowSide: number) {
  return { pixelsMin: least * rowSide * rowSide, pixelsMax: most * rowSide * rowSide };
}

function config(
  projector: string,
  [imageSize, patchSize, mergeSide]: readonly [number, number, number],
  more: Partial<ImageConfig>,
): ImageConfig {
  return {
    ...{ projector, imageSize, patchSize, mergeSide, ...HALF },
    ...{
      positions: null,
      classTokens: null,
      classTokenCount: 0,
      patchBias: null,
      firstPosition: null,
    },
    ...{ windowSide: null, lineBreak: null, pixelsMin: null, pixelsMax: null },
    ...{ longestEdge: null, tilesMin: null, tilesMax: null, gridSizes: [] },
    ...more,
  };
}

export const IMAGE_CONFIGS = {
  gemma3: config("gemma3", [56, 14, 2], {}),
  gemma3nv: config("gemma3nv", [256, 16, 1], { mean: [0, 0, 0], deviation: [1, 1, 1] }),
  step3vl: config("step3vl", [728, 14, 1], { tileSize: 504, convolvedSide: 4 }),
  granite4_vision: config("granite4_vision", [32, 4, 2], {
    ...{ windowSide: 4, behindParts: "line" },
    gridSizes: [[32, 64], [64, 32], [64, 64], [96, 32]],
  }),
  gemma4v: config("gemma4v", [64, 16, 3], rows(40, 280, 48)),
  gemma4uv: config("gemma4uv", [96, 48, 1], rows(40, 280, 48)),
  mlp: config("mlp", [42, 14, 1], CLIP),
  "LLaVA 1.6": config("mlp", [42, 14, 1], {
    ...CLIP,
    gridSizes: [[42, 84], [84, 42], [84, 84], [126, 42], [42, 126]],
  }),
  ldpv2: config("ldpv2", [56, 14, 2], CLIP),
  janus_pro: config("janus_pro", [48, 16, 1], {}),
  deepseekocr: config("deepseekocr", [1024, 16, 1], {
    ...{ tileSize: 640, convolvedSide: 4, tilesMin: 2, tilesMax: 9 },
    behindLines: { line: "line", image: "image" },
  }),
  deepseekocr2: config("deepseekocr2", [1024, 16, 1], {
    ...{ tileSize: 768, convolvedSide: 4, tilesMin: 2, tilesMax: 6, behindWhole: "image" },
  }),
  idefics3: config("idefics3", [64, 16, 2], { longestEdge: 150 }),
  internvl: config("internvl", [56, 14, 2], IMAGENET),
  nemotron_v2_vl: config("nemotron_v2_vl", [64, 16, 2], CLIP),
  pixtral: config("pixtral", [64, 16, 1], { ...CLIP, ...rows(8, 64, 16) }),
  lightonocr: config("lightonocr", [154, 14, 2], { ...CLIP, longestEdge: 154 }),
  kimivl: config("kimivl", [56, 14, 2], rows(8, 64, 28)),
  glm4v: config("glm4v", [56, 14, 2], { ...CLIP, ...rows(8, 64, 28) }),
  llama4: config("llama4", [56, 14, 2], {}),
  kimik25: config("kimik25", [56, 14, 2], rows(2, 64, 28)),
  qwen2vl_merger: config("qwen2vl_merger", [56, 14, 2], { ...CLIP, ...rows(8, 64, 28) }),
  mimovl: config("mimovl", [64, 16, 2], { ...CLIP, ...rows(8, 64, 32) }),
  exaone4_5: config("exaone4_5", [56, 14, 2], { ...CLIP, ...rows(8, 64, 28) }),
  qwen3vl_merger: config("qwen3vl_merger", [64, 16, 2], { ...CLIP, ...rows(8, 64, 32) }),
  lfm2: config("lfm2", [64, 16, 2], rows(4, 16, 32)),
  hunyuanvl: config("hunyuanvl", [64, 16, 2], { ...CLIP, ...rows(8, 64, 32), isFramed: true }),
  youtuvl: config("youtuvl", [64, 16, 2], {
    ...{ ...rows(1, 64, 32), windowSide: 8, hasColoursLast: true },
  }),
  adapter: config("adapter", [56, 14, 2], {}),
  "minimax_m3": config("minimax_m3", [56, 14, 2], rows(8, 576, 28)),
  "muse-glimmer": config("muse-glimmer", [56, 14, 2], {
    ...{ ...rows(1, 64, 28), windowSide: 8 },
  }),
  "minicpmv4_6": config("minicpmv4_6", [112, 14, 4], { foldSide: 2, pixelsMax: 2 * 112 ** 2 }),
  "minicpmv4_6-four": config("minicpmv4_6", [56, 14, 2], { pixelsMax: 2 * 56 ** 2 }),
  resampler: config("resampler", [56, 14, 1], {
    ...{ tileRows: 5, pixelsMax: 2 * 56 ** 2, firstPosition: 0 },
  }),
} satisfies Record<string, ImageConfig>;
