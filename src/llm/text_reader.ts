/** Vectors of texts and scores of pairs: how many are read at once, and what follows their rows. */
import type { GgufFile } from "../gguf/types.ts";
import type { ModelConfig, Pooling } from "../model/types.ts";
import type { EngineHandle } from "../../workers/mod.ts";
import { rankerOf, readPooling, requireGoingOn } from "./read_pooling.ts";
import type { TextHead } from "./text_head.ts";
import type { EmbedOptions } from "./types.ts";

/** Ids of several texts. */
export type Texts = readonly (readonly number[])[];

/** Has an engine read whole texts, whose ids were checked, while no request runs. */
export type ReadAlone = <T>(
  texts: Texts,
  options: EmbedOptions,
  read: (engine: EngineHandle) => Promise<T>,
) => Promise<T>;

export interface TextReaderParts {
  readonly file: GgufFile;
  readonly config: ModelConfig;
  /** Null: a text's vector is what its rows are pooled to. */
  readonly head: TextHead | null;
  /** What is read in one step: so many texts, of so many tokens together, or one of any length. */
  readonly atOnce: { readonly texts: number; readonly tokens: number };
  /** @throws {RequestError} when a text does not fit. */
  readonly checkIds: (ids: readonly number[]) => void;
  readonly readAlone: ReadAlone;
}

export class TextReader {
  readonly #in: TextReaderParts;

  constructor(parts: TextReaderParts) {
    this.#in = parts;
  }

  /** See `LoadedModel.embed`. */
  async embed(texts: Texts, options: EmbedOptions): Promise<Float32Array[]> {
    const { file, config, head } = this.#in;
    requireGoingOn(config, "make vectors of texts");
    const vectors = await this.#pool(texts, readPooling(file.metadata, config), options);
    return head === null ? vectors : vectors.map((vector) => head.project(vector));
  }

  /** See `LoadedModel.rank`. */
  async rank(pairs: Texts, options: EmbedOptions): Promise<number[]> {
    const { config, head } = this.#in;
    requireGoingOn(config, "say how well texts answer a question");
    const ranker = rankerOf(head);
    const vectors = await this.#pool(pairs, ranker.reads, options);
    return vectors.map((vector) => head!.score(ranker, vector));
  }

  /** As many texts at once as a step has room for; between steps others get their turn. */
  async #pool(texts: Texts, pooling: Pooling, options: EmbedOptions): Promise<Float32Array[]> {
    const { checkIds, readAlone } = this.#in;
    for (const ids of texts) checkIds(ids);
    const vectors: Float32Array[] = [];
    for (let first = 0; first < texts.length;) {
      const some = texts.slice(first, this.#endOfStep(texts, first));
      const read = (engine: EngineHandle) => engine.texts.embed(some, pooling, options.signal);
      vectors.push(...await readAlone(some, options, read));
      first += some.length;
    }
    return vectors;
  }

  /** Behind the texts from number `first` on that are read in one step. */
  #endOfStep(texts: Texts, first: number): number {
    const { atOnce } = this.#in;
    let end = first + 1;
    let tokens = texts[first].length;
    while (end < Math.min(texts.length, first + atOnce.texts)) {
      tokens += texts[end].length;
      if (tokens > atOnce.tokens) break;
      end++;
    }
    return end;
  }
}
