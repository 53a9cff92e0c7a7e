/**
 * Which tokens a model never says: those of its family, and those that a file lists (of Gemma 4
 * what stands for images and sounds). Knows names of keys; what becomes of logits is others'.
 */
import { getNumbers, type GgufFile } from "../../gguf/mod.ts";
import type { Family } from "../family.ts";
import type { ModelConfig } from "../types.ts";
import { formatError } from "./hyperparameters.ts";

const KEY = "tokenizer.ggml.suppress_tokens";

/**
 * Ranges in order, none beside another; ids that no token has are left out, as llama.cpp does.
 * @throws {ModelFormatError} when the list is none of numbers, or has all tokens.
 */
export function readSilencedTokens(
  file: GgufFile,
  { silencedTokens: own }: Family,
  vocabSize: number,
): Pick<ModelConfig, "silencedTokens"> {
  const isOwn = own !== null && own.end < vocabSize;
  if (!file.metadata.has(KEY)) return isOwn ? { silencedTokens: [own] } : {};
  const isSilenced = new Uint8Array(vocabSize);
  if (isOwn) isSilenced.fill(1, own.start, own.end);
  for (const id of getNumbers(file.metadata, KEY)) {
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) isSilenced[id] = 1;
  }
  const silencedTokens = rangesOf(isSilenced);
  if (silencedTokens[0]?.end - silencedTokens[0]?.start === vocabSize) {
    const problem = "it has all tokens, so that none could be said: convert the model again";
    throw formatError(file, `Cannot use metadata "${KEY}": ${problem}`);
  }
  return silencedTokens.length === 0 ? {} : { silencedTokens };
}

function rangesOf(flags: Uint8Array): { start: number; end: number }[] {
  const ranges: { start: number; end: number }[] = [];
  for (let start = flags.indexOf(1); start >= 0;) {
    const next = flags.indexOf(0, start);
    const end = next < 0 ? flags.length : next;
    ranges.push({ start, end });
    start = flags.indexOf(1, end);
  }
  return ranges;
}
