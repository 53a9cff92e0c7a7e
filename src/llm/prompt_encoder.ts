/** Texts and conversations to a model's ids, with what it wants around them. Computes nothing. */
import type { ChatTemplate } from "../chat/mod.ts";
import { encodePair, frameIds } from "../tokenizer/mod.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import type { Steps } from "../base/steps.ts";
import { checkLength } from "./check_ids.ts";
import { countImages, idsWithImages, noImages, renderWithImages } from "./images/place_images.ts";
import type { ChatMessage, ChatOptions, PromptSteps } from "./types.ts";

/** Of these vocabularies one token may stand for any length of text that they do not know. */
const MERGING_KINDS: readonly Tokenizer["kind"][] = ["bert", "t5"];
/** `SPECIAL_TOKEN_BREAKER` where it is no half of a character. */
const BREAKERS = /\uD800/gu;

/** In steps; `runSteps` takes them all. */
export class PromptEncoder implements PromptSteps {
  readonly #tokenizer: Tokenizer;
  readonly #chatTemplate: ChatTemplate;
  readonly #contextLength: number;
  /** Prompts are texts that the model reads as a whole, with all marks that it wants. */
  readonly #isFramed: boolean;
  #tokenBytesMax: number | undefined;

  constructor(
    by: {
      readonly tokenizer: Tokenizer;
      readonly chatTemplate: ChatTemplate;
      readonly contextLength: number;
      readonly isFramed: boolean;
    },
  ) {
    this.#tokenizer = by.tokenizer;
    this.#chatTemplate = by.chatTemplate;
    this.#contextLength = by.contextLength;
    this.#isFramed = by.isFramed;
  }

  /** Of an image nothing is shown. */
  renderChat(messages: readonly ChatMessage[], options?: ChatOptions): string {
    const render = (marked: readonly ChatMessage[]) => this.#chatTemplate.render(marked, options);
    return renderWithImages(messages, render).texts.join("").replace(BREAKERS, "");
  }

  *chat(messages: readonly ChatMessage[], options?: ChatOptions): Steps<number[]> {
    if (countImages(messages) > 0) return yield* this.#withImages(messages, options);
    const text = this.#chatTemplate.render(messages, options);
    if (options?.mustFit) this.#checkLength(text);
    const special = this.#chatTemplate.style !== "source";
    return this.#withMarks(yield* this.#tokenizer.encodeSteps(text, { special }));
  }

  /** Texts between images are encoded by themselves, as they were when models were trained. */
  *#withImages(messages: readonly ChatMessage[], options: ChatOptions = {}): Steps<number[]> {
    const { images: seen, mustFit, ...rest } = options;
    if (seen === undefined) throw noImages(messages);
    const render = (marked: readonly ChatMessage[]) => this.#chatTemplate.render(marked, rest);
    const placed = renderWithImages(messages, render);
    if (mustFit) this.#checkLength(placed.texts.join(""));
    const encode = (text: string) => this.#tokenizer.encodeSteps(text, { special: true });
    return this.#withMarks(yield* idsWithImages(placed, seen, encode));
  }

  *prompt(text: string, { mustFit = false } = {}): Steps<number[]> {
    if (mustFit) this.#checkLength(text);
    return this.#withMarks(yield* this.#tokenizer.encodeSteps(text));
  }

  *text(
    text: string,
    { special, bos, mustFit }: { special?: boolean; bos?: boolean; mustFit?: boolean } = {},
  ): Steps<number[]> {
    if (mustFit) this.#checkLength(text);
    const ids = yield* this.#tokenizer.encodeSteps(text, { special });
    return bos ? this.#withMarks(ids) : ids;
  }

  /**
   * Ids of a text that is read as a whole, with the marks around it. isCut: what does not fit is
   * left out, and not the marks.
   */
  *whole(text: string, { mustFit = false, isCut = false } = {}): Steps<number[]> {
    if (mustFit) this.#checkLength(text);
    const ids = yield* this.#tokenizer.encodeSteps(text);
    const framed = frameIds(this.#tokenizer, ids);
    const over = framed.length - this.#contextLength;
    if (!isCut || over <= 0) return framed;
    return frameIds(this.#tokenizer, ids.slice(0, Math.max(0, ids.length - over)));
  }

  /**
   * Ids of two texts, of which the model says how well the second goes with the first. isCut: the
   * second loses of its end what does not fit.
   */
  *pair(query: string, document: string, { isCut = false } = {}): Steps<number[]> {
    const encode = (document: string) => encodePair(this.#tokenizer, { query, document });
    let ids = yield* encode(document);
    if (!isCut || ids.length <= this.#contextLength) return ids;
    const own = yield* this.#tokenizer.encodeSteps(document);
    let count = own.length;
    // What is left of a text may have some more tokens than it had in the whole.
    for (let over; count > 0 && (over = ids.length - this.#contextLength) > 0;) {
      count = Math.max(0, count - over);
      ids = yield* encode(this.#tokenizer.decode(own.slice(0, count)));
    }
    return ids;
  }

  #withMarks(ids: number[]): number[] {
    if (this.#isFramed) return frameIds(this.#tokenizer, ids);
    const { addBos, bosId } = this.#tokenizer;
    return addBos && bosId !== null && ids[0] !== bosId ? [bosId, ...ids] : ids;
  }

  #checkLength(text: string): void {
    if (MERGING_KINDS.includes(this.#tokenizer.kind)) return;
    this.#tokenBytesMax ??= longestToken(this.#tokenizer);
    const [contextLength, tokenBytesMax] = [this.#contextLength, this.#tokenBytesMax];
    checkLength(text, { contextLength, tokenBytesMax });
  }
}

/** Bytes of the longest token, or characters of the longest mark. */
function longestToken(tokenizer: Tokenizer): number {
  const { vocabSize, specialTexts } = tokenizer;
  let most = 1;
  for (const text of specialTexts) most = Math.max(most, text.length);
  for (let id = 0; id < vocabSize; id++) most = Math.max(most, tokenizer.bytesOf(id).length);
  return most;
}
