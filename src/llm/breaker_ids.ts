/** Ids that break repetitions: of the tokens that have one of some texts in them. */
import type { Tokenizer } from "../tokenizer/types.ts";

/** What llama.cpp takes where a request names none. */
const USUAL_BREAKERS = ["\n", ":", '"', "*"];
/** Lists of texts whose ids are kept. */
const KEPT_MAX = 8;

/** Finds them, and remembers those of the texts that were asked for last. */
export class BreakerIds {
  readonly #tokenizer: Tokenizer;
  readonly #vocabSize: number;
  readonly #kept = new Map<string, readonly number[]>();

  /** vocabSize: ids that the model has logits of. */
  constructor(tokenizer: Tokenizer, vocabSize: number) {
    this.#tokenizer = tokenizer;
    this.#vocabSize = vocabSize;
  }

  /** Ids of tokens with one of the texts in them; what only several tokens make breaks nothing. */
  of(texts: readonly string[] = USUAL_BREAKERS): readonly number[] {
    const key = JSON.stringify(texts);
    const ids = this.#kept.get(key) ?? this.#find(texts);
    this.#kept.delete(key);
    this.#kept.set(key, ids);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(oldest);
    return ids;
  }

  #find(texts: readonly string[]): number[] {
    const wanted = texts.filter((text) => text !== "").map(asLatin1);
    const count = Math.min(this.#tokenizer.vocabSize, this.#vocabSize);
    const ids = [];
    for (let id = 0; id < count; id++) {
      const bytes = this.#tokenizer.bytesOf(id);
      const piece = bytes.length === 0 ? "" : latin1.decode(bytes);
      if (wanted.some((text) => piece.includes(text))) ids.push(id);
    }
    return ids;
  }
}

/** A character for each byte: bytes are searched as texts. */
const latin1 = new TextDecoder("latin1");
const utf8 = new TextEncoder();

function asLatin1(text: string): string {
  return latin1.decode(utf8.encode(text));
}
