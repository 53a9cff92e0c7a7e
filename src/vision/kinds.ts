/** What each kind of projector has done to images, and what a prompt says around them, as data. */
import { UnsupportedModelError } from "../base/errors.ts";
import type { ImageConfig } from "../model/vision_types.ts";
import type { Resizing } from "./resize.ts";

/** How an image becomes tiles. */
export type Cut =
  /** It is brought to the size that the tower was trained with. */
  | "square"
  /** It keeps its shape, within a number of pixels. */
  | "ownShape"
  /** It keeps its shape, in whole blocks, made smaller by steps as long as it has too many. */
  | "ownShapeBySteps"
  /** The grid of whole blocks that is most like its shape. */
  | "nearestShape"
  /** It keeps its shape, and has a longest edge. */
  | "ownEdge"
  /** Whole, as a square; and enlarged to the best of some sizes and cut into squares. */
  | "bestSize"
  /** The same of small images, too. */
  | "bestSizeAlways"
  /** Whole, as a square; and brought to a longest edge and cut into squares. */
  | "longestEdge"
  /** Whole, in its own shape; and where it is large, as a grid of squares. */
  | "bestGrid"
  /** Whole, as a square; and where it is larger than a tile, as a grid of these like its shape. */
  | "tileGrid"
  /** Whole, as a square; and where it is large or long, as a grid of windows, squares as well. */
  | "windows"
  /** Whole, in its own shape; and where it is large, as a grid of parts in shapes of their own. */
  | "slices";

export interface ImageKind {
  readonly cut: Cut;
  /** Of the whole image. */
  readonly whole: Resizing;
  /** Of the image that is cut. */
  readonly parts: Resizing;
  /** Tiles on a side at most, any numbers of both; left out: as the file says. */
  readonly tilesOfSides?: number;
  /** Around all of it. */
  readonly begin: string;
  readonly end: string;
  /** The whole image comes before its parts. */
  readonly isWholeFirst: boolean;
  /** Before the first part. */
  readonly beforeParts: string;
  /** Before a part in that row and column, counted from 1. */
  readonly beforePart: (row: number, column: number) => string;
  readonly behindPart: string;
  /** Between rows of parts. */
  readonly betweenRows: string;
  /** Around the whole image. */
  readonly beforeWhole: string;
  readonly behindWhole: string;
  /** Behind the last row of parts. */
  readonly behindParts: string;
  /** Without parts, nothing is around the whole image. */
  readonly isWholeBare: boolean;
  /** Rows attend to each other both ways. */
  readonly seesAll: boolean;
  /** The text model places rows in two dimensions. */
  readonly hasGrid: boolean;
}

const BLACK = [0, 0, 0] as const;
const STRETCHED: Resizing = { filter: "bicubic", around: null };
const BILINEAR: Resizing = { filter: "bilinear", around: BLACK };
const BILINEAR_STRETCHED: Resizing = { filter: "bilinear", around: null };
const BICUBIC: Resizing = { filter: "bicubic", around: BLACK };
const LANCZOS: Resizing = { filter: "lanczos", around: null };

const COMMON: ImageKind = {
  ...{ cut: "square", whole: BICUBIC, parts: BICUBIC, begin: "", end: "" },
  ...{ isWholeFirst: false, beforeParts: "", beforePart: () => "", behindPart: "" },
  ...{ betweenRows: "", behindParts: "", beforeWhole: "", behindWhole: "" },
  ...{ isWholeBare: false, seesAll: false, hasGrid: false },
};

const GEMMA_4: ImageKind = {
  ...{ ...COMMON, cut: "ownShape", begin: "<|image>", end: "<image|>", seesAll: true },
};

const QWEN: ImageKind = {
  ...COMMON,
  ...{ cut: "ownShape", begin: "<|vision_start|>", end: "<|vision_end|>", hasGrid: true },
};

/** MiniCPM-V 2.6 and later. */
const RESAMPLER: ImageKind = {
  ...{ ...COMMON, cut: "slices", whole: STRETCHED, isWholeFirst: true },
  ...{ beforeWhole: "<image>", behindWhole: "</image>" },
  ...{ beforePart: () => "<slice>", behindPart: "</slice>", betweenRows: "\n" },
};

/** MiniCPM-V 2.5. */
const OLD_RESAMPLER: ImageKind = {
  ...{ ...RESAMPLER, beforePart: () => "<image>", behindPart: "</image>" },
  ...{ beforeParts: "<slice>", behindParts: "</slice>" },
};

const DEEPSEEK_OCR: ImageKind = {
  ...{ ...COMMON, cut: "tileGrid", parts: STRETCHED, end: "\n" },
  whole: { filter: "bicubic", around: [127, 127, 127], isRounded: true },
};

const KINDS: Readonly<Record<string, ImageKind>> = {
  gemma3: {
    ...COMMON,
    whole: BILINEAR,
    begin: "<start_of_image>",
    end: "<end_of_image>",
    seesAll: true,
  },
  // Its rows see what is before them alone.
  gemma3nv: {
    ...{ ...COMMON, whole: BILINEAR, begin: "<start_of_image>", end: "<end_of_image>" },
  },
  gemma4v: GEMMA_4,
  gemma4uv: GEMMA_4,
  // The mean colour of CLIP's training.
  mlp: { ...COMMON, whole: { filter: "bicubic", around: [122, 116, 104] } },
  ldpv2: { ...COMMON, whole: { filter: "bicubic", around: [122, 116, 104] } },
  janus_pro: { ...COMMON, whole: { filter: "bicubic", around: [127, 127, 127] } },
  deepseekocr: DEEPSEEK_OCR,
  deepseekocr2: DEEPSEEK_OCR,
  idefics3: {
    ...{ ...COMMON, cut: "longestEdge", whole: LANCZOS, parts: LANCZOS },
    beforePart: (row, column) => `<fake_token_around_image><row_${row}_col_${column}>`,
    betweenRows: "\n",
    beforeWhole: "\n\n<fake_token_around_image><global-img>",
    behindWhole: "<fake_token_around_image>",
  },
  nemotron_v2_vl: COMMON,
  step3vl: {
    ...{ ...COMMON, cut: "windows", beforeWhole: "<im_start>", behindWhole: "<im_end>" },
    beforePart: () => "<patch_start>",
    ...{ behindPart: "<patch_end>", betweenRows: "<patch_newline>" },
  },
  internvl: { ...COMMON, cut: "bestSize", whole: STRETCHED, begin: "<img>", end: "</img>" },
  llama4: {
    ...{ ...COMMON, cut: "bestSize", whole: STRETCHED },
    ...{ begin: "<|image_start|>", end: "<|image_end|>", beforeWhole: "<|image|>" },
    beforePart: (_, column) => column > 1 ? "<|tile_x_separator|>" : "",
    ...{ betweenRows: "<|tile_y_separator|>", behindParts: "<|tile_y_separator|>" },
    tilesOfSides: 3,
  },
  pixtral: { ...COMMON, cut: "ownShape", end: "[IMG_END]" },
  lightonocr: {
    ...{ ...COMMON, cut: "ownEdge", begin: "<|im_start|>", end: "<|im_end|>" },
  },
  kimivl: { ...COMMON, cut: "ownShape", begin: "<|media_start|>", end: "<|media_end|>" },
  // Rows of the file are around its images.
  adapter: COMMON,
  "muse-glimmer": {
    ...{ ...COMMON, cut: "nearestShape", whole: LANCZOS },
    ...{ begin: "<|image_start|>", end: "<|image_end|>" },
  },
  "granite4_vision": { ...COMMON, cut: "bestSizeAlways", whole: STRETCHED, end: "\n" },
  "minimax_m3": {
    ...{ ...COMMON, cut: "ownShape", whole: STRETCHED },
    ...{ begin: "]<]start of image[>[", end: "]<]end of image[>[" },
  },
  glm4v: {
    ...{ ...QWEN, begin: "<|begin_of_image|>", end: "<|end_of_image|>" },
  },
  kimik25: {
    ...{ ...COMMON, cut: "ownShape" },
    ...{ begin: "<|media_begin|>", end: "<|media_end|>" },
  },
  hunyuanvl: {
    ...{ ...QWEN, whole: LANCZOS },
    begin: "<｜hy_place▁holder▁no▁100｜>",
    end: "<｜hy_place▁holder▁no▁101｜>",
  },
  mimovl: QWEN,
  "qwen2vl_merger": QWEN,
  "qwen2.5vl_merger": QWEN,
  "qwen3vl_merger": QWEN,
  exaone4_5: { ...COMMON, cut: "ownShape", begin: "<vision>", end: "</vision>" },
  phi4: { ...COMMON, cut: "ownShape", whole: BILINEAR },
  resampler: RESAMPLER,
  "minicpmv4_6": RESAMPLER,
  "dots_ocr": {
    ...{ ...COMMON, cut: "ownShape", begin: "<|img|>", end: "<|endofimg|>" },
  },
  youtuvl: { ...QWEN, cut: "ownShapeBySteps", whole: BILINEAR_STRETCHED },
  paddleocr: { ...QWEN, begin: "<|IMAGE_START|>", end: "<|IMAGE_END|>" },
  lfm2: {
    ...{ ...COMMON, cut: "bestGrid", whole: BILINEAR_STRETCHED, parts: BILINEAR },
    ...{ begin: "<|image_start|>", end: "<|image_end|>" },
    beforePart: (row, column) => `<|img_row_${row}_col_${column}|>`,
    beforeWhole: "<|img_thumbnail|>",
    isWholeBare: true,
  },
};

/**
 * What a projector's kind has done.
 * @throws {UnsupportedModelError} when this version does not prepare images for it.
 */
export function imageKindOf({ projector, gridSizes, hasOldMarks }: ImageConfig): ImageKind {
  const kind = KINDS[projector];
  if (kind === undefined) {
    throw new UnsupportedModelError(
      `Cannot prepare images for a projector of type ${JSON.stringify(projector)}: this version ` +
        `does for ${Object.keys(KINDS).sort().join(", ")}`,
    );
  }
  if (hasOldMarks) return OLD_RESAMPLER;
  // LLaVA 1.6 says by these that it looks at parts, too, which lie on black.
  if (kind.cut !== "square" || gridSizes.length === 0) return kind;
  return { ...kind, cut: "bestSize", whole: STRETCHED, parts: BICUBIC };
}
