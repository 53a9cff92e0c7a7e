/** Ids that break repetitions: of the tokens that have one of some texts in them. */
import type { Tokenizer } from "../tokenizer/types.ts";

/** What llama.cpp takes where a request names none. */
const USUAL_BREAKERS = ["\n", ":", '"', "*"];
/** Lists of texts whose ids are kept. */
const KEPT_MAX = 8;

/** A byte that no UTF-8 has: it parts tokens. */
const NO_TEXT = 0xff;

interface JoinedPieces {
  readonly joined: string;
  /** [tokens + 1]: where each begins. */
  readonly starts: Int32Array;
}

/** Finds them, and remembers those of the texts that were asked for last. */
export class BreakerIds {
  readonly #tokenizer: Tokenizer;
  readonly #vocabSize: number;
  readonly #kept = new Map<string, readonly number[]>();
  /** Null until somebody asks. */
  #pieces: JoinedPieces | null = null;

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
    const { joined, starts } = this.#pieces ??= this.#join();
    const has = new Uint8Array(starts.length - 1);
    for (const wanted of texts.map(asLatin1)) {
      if (wanted === "") continue;
      let id = 0;
      for (let at = joined.indexOf(wanted); at >= 0; at = joined.indexOf(wanted, starts[id])) {
        while (starts[id + 1] <= at) id++;
        has[id++] = 1;
      }
    }
    return Array.from(has.keys()).filter((id) => has[id] === 1);
  }

  /** All tokens in one text, so that looking for another text does not look at each token. */
  #join(): JoinedPieces {
    const count = Math.min(this.#tokenizer.vocabSize, this.#vocabSize);
    const pieces = Array.from({ length: count }, (_, id) => this.#tokenizer.bytesOf(id));
    const starts = new Int32Array(count + 1);
    pieces.forEach(({ length }, id) => starts[id + 1] = starts[id] + length + 1);
    const bytes = new Uint8Array(starts[count]).fill(NO_TEXT);
    pieces.forEach((piece, id) => bytes.set(piece, starts[id]));
    return { joined: latin1.decode(bytes), starts };
  }
}

/** A character for each byte: bytes are searched as texts. */
const latin1 = new TextDecoder("latin1");
const utf8 = new TextEncoder();

function asLatin1(text: string): string {
  return latin1.decode(utf8.encode(text));
}
