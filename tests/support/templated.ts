/** Tiny models that write by a template of one's own, with control tokens of one's own. */
import { list, type MetadataEntry, text } from "../../src/gguf/mod.ts";
import { sentencePieceVocabulary } from "../../src/synth/vocabulary.ts";

/** What a tiny model of such a vocabulary is made with. */
export const TEMPLATED_SHAPE = { vocabSize: 512, contextLength: 1024 };
const CONTROL = 3;

/** A vocabulary whose last tokens are control tokens named as the keys are, and a template. */
export function templated(template: string, controls: object): MetadataEntry[] {
  const { vocabSize } = TEMPLATED_SHAPE;
  const names = Object.keys(controls);
  const first = vocabSize - names.length;
  return sentencePieceVocabulary(vocabSize).map(([key, stored]): MetadataEntry => {
    if (key === "tokenizer.chat_template") return [key, text(template)];
    if (stored.type !== "array") return [key, stored];
    const value = [...stored.value as Iterable<unknown>];
    if (key === "tokenizer.ggml.tokens") {
      return [key, list([...value.slice(0, first), ...names] as string[])];
    }
    if (key !== "tokenizer.ggml.token_type") return [key, stored];
    const types = Int32Array.from(value as number[]);
    return [key, list(types.fill(CONTROL, first))];
  });
}
