/** PaddleOCR-VL, of which texts are read: ERNIE 4.5 with positions of one kind in texts. */
import type { Family } from "../family.ts";
import { ernie45 } from "./ernie4_5.ts";

/** The family `general.architecture = "paddleocr"`. */
export const paddleocr: Family = {
  ...ernie45,
  architecture: "paddleocr",
  sections: "inTurn",
  positions: "neox",
};
