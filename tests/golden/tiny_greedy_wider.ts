/** As tiny_greedy.ts, of wider families. Data only. */
import type { WIDER_FAMILIES } from "../support/tiny_wider_families.ts";

/** The reference's greedy ids after the first 12 of the prompt. */
export const WIDER_GREEDY: Readonly<Record<keyof typeof WIDER_FAMILIES, readonly number[]>> = {
  "bailingmoe2": [416, 472, 16, 288, 312, 507, 305, 172, 371, 16, 288, 444],
  "deepseek2-ocr": [365, 135, 259, 91, 295, 495, 348, 96, 102, 83, 469, 123],
  "hunyuan_vl": [253, 36, 175, 437, 487, 91, 234, 270, 447, 238, 218, 359],
  "granite_swa": [233, 125, 46, 274, 20, 233, 194, 154, 108, 286, 80, 2],
  "plamo3": [214, 96, 76, 280, 219, 288, 55, 113, 341, 307, 182, 88],
  "minicpm3": [306, 261, 261, 261, 261, 261, 30, 436, 322, 248, 158, 12],
  "plm": [296, 65, 114, 496, 434, 496, 71, 169, 201, 96, 433, 468],
  "phimoe": [236, 207, 294, 17, 500, 217, 66, 207, 294, 342, 439, 12],
  "grok": [75, 330, 123, 126, 183, 178, 217, 218, 193, 474, 478, 402],
};
