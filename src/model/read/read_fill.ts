/** Models that fill in a text: what a mask is, and which row speaks of it. Reads no tensors. */
import { getBoolean, getNumber, type GgufFile } from "../../gguf/mod.ts";
import type { Family } from "../family.ts";
import type { FillingModel } from "../fill_types.ts";
import { formatError } from "./hyperparameters.ts";

const MASK_KEY = "tokenizer.ggml.mask_token_id";
const SHIFT_KEY = "diffusion.shift_logits";

/**
 * Of files that do not say which row speaks of a mask, it is the one before it.
 * @throws {ModelFormatError} when the file names no mask, or one that is no token.
 */
export function readFill(
  file: GgufFile,
  { fills }: Family,
  vocabSize: number,
): FillingModel {
  if (!fills) return {};
  const maskId = getNumber(file.metadata, MASK_KEY, -1);
  if (!Number.isInteger(maskId) || maskId < 0 || maskId >= vocabSize) {
    const problem = maskId === -1 ? "it is missing" : `${maskId} is no token`;
    throw formatError(
      file,
      `Cannot use metadata "${MASK_KEY}": ${problem}, and this model fills in masks: convert it ` +
        "again",
    );
  }
  return { fill: { maskId, isShifted: getBoolean(file.metadata, SHIFT_KEY, true) } };
}
