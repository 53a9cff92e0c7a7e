/** The text of DeepSeek OCR: DeepSeek 1 that turns dimensions half a head apart. */
import type { Family } from "../family.ts";
import { deepseek } from "./deepseek.ts";

/** The family `general.architecture = "deepseek2-ocr"`. */
export const deepseek2Ocr: Family = {
  ...deepseek,
  architecture: "deepseek2-ocr",
  positions: "neox",
};
