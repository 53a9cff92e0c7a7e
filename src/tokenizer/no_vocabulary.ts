/** What stands in for a tokenizer where a model has no vocabulary: it takes and gives ids only. */
import { RequestError } from "../base/errors.ts";
import type { LoadedTokenizer } from "./create_tokenizer.ts";

/** Kinds of `tokenizer.ggml.model` that say "there is none". */
export const NO_VOCABULARY_KINDS: readonly string[] = ["no_vocab", "none"];

/** A tokenizer without tokens: every id has an empty text, and no text has ids. */
export function createIdOnlyTokenizer(): LoadedTokenizer {
  return {
    kind: "none",
    vocabSize: 0,
    bosId: null,
    eosId: null,
    endIds: new Set(),
    addBos: false,
    addEos: false,
    separatorId: null,
    addSeparator: false,
    pairTemplate: null,
    specialTexts: [],
    warnings: ["the model has no vocabulary: it takes token ids only"],
    encode: refuse,
    encodeSteps: refuse,
    decode: () => "",
    bytesOf: () => new Uint8Array(0),
    pieceOf: () => "",
    streamDecoder: () => ({ push: () => "", flush: () => "" }),
  };
}

function refuse(): never {
  throw new RequestError(
    "Cannot read the text: this model has no vocabulary: send the prompt as token ids",
    { status: 400, code: "no_vocabulary" },
  );
}
