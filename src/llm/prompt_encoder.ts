/** Texts and conversations to a model's ids, with what it wants around them. Computes nothing. */
import type { ChatTemplate } from "../chat/mod.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import { checkLength } from "./check_ids.ts";
import type { ChatMessage, ChatOptions, LanguageModel } from "./types.ts";

/** `SPECIAL_TOKEN_BREAKER` where it is no half of a character. */
const BREAKERS = /\uD800/gu;

export class PromptEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #chatTemplate: ChatTemplate;
  readonly #contextLength: number;
  #tokenBytesMax: number | undefined;

  constructor(
    by: { tokenizer: Tokenizer; chatTemplate: ChatTemplate; contextLength: number },
  ) {
    this.#tokenizer = by.tokenizer;
    this.#chatTemplate = by.chatTemplate;
    this.#contextLength = by.contextLength;
  }

  renderChat(messages: readonly ChatMessage[], options?: ChatOptions): string {
    return this.#chatTemplate.render(messages, options).replace(BREAKERS, "");
  }

  chat(messages: readonly ChatMessage[], options?: ChatOptions): number[] {
    const text = this.#chatTemplate.render(messages, options);
    if (options?.mustFit) this.#checkLength(text);
    return this.#withBos(this.#tokenizer.encode(text, { special: true }));
  }

  prompt(text: string, { mustFit = false } = {}): number[] {
    if (mustFit) this.#checkLength(text);
    return this.#withBos(this.#tokenizer.encode(text));
  }

  text(text: string, options: Parameters<LanguageModel["encodeText"]>[1] = {}): number[] {
    if (options.mustFit) this.#checkLength(text);
    const ids = this.#tokenizer.encode(text, { special: options.special });
    return options.bos ? this.#withBos(ids) : ids;
  }

  #withBos(ids: number[]): number[] {
    const { addBos, bosId } = this.#tokenizer;
    return addBos && bosId !== null && ids[0] !== bosId ? [bosId, ...ids] : ids;
  }

  #checkLength(text: string): void {
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
