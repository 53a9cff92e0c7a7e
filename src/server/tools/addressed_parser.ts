/**
 * Answers whose messages say whom they are for, as Muse Glimmer writes them: thoughts to itself,
 * text to the user, calls to tools. Marks have no text of their own: they are told by their ids.
 * The prompt has begun the first head already. What is no thought is read by another parser.
 */
import type { LanguageModel } from "../../llm/types.ts";
import type { AnswerParser, Delta } from "./answer_parser.ts";
import { controlMarks } from "./control_marks.ts";

/** What a mark does: it begins a head, the message behind it, or ends one. */
type AddressedMark = "start" | "message" | "end";

/** The mark that a token is. */
export type AddressedMarks = ReadonlyMap<number, AddressedMark>;

const MARK_TEXTS: Readonly<Record<string, AddressedMark>> = {
  "<|start|>": "start",
  "<|message|>": "message",
  "<|eom|>": "end",
  "<|eot|>": "end",
};

/** Longer heads are no heads. */
const HEAD_CHARS_MAX = 1024;

/** Whether a chat template writes in that form. */
export function writesAddressed(template: string): boolean {
  return Object.keys(MARK_TEXTS).every((mark) => template.includes(mark)) &&
    template.includes("to=");
}

/** The marks of a model whose template writes in that form; null: it writes in another. */
export function addressedMarksOf(model: LanguageModel): AddressedMarks | null {
  const isWritten = writesAddressed(model.details?.chatTemplate ?? "");
  return isWritten ? controlMarks(model, MARK_TEXTS) : null;
}

export interface AddressedParserOptions {
  readonly marks: AddressedMarks;
  /** The prompt has begun a message that is no thought. */
  readonly isOpened?: boolean;
  /** Thoughts are text like the answer. */
  readonly rawThoughts?: boolean;
  /** Reads what is no thought; left out: it is text. */
  readonly answer?: AnswerParser;
}

type State = "head" | "reasoning" | "text";

export class AddressedParser implements AnswerParser {
  readonly #options: AddressedParserOptions;
  #state: State;
  #head = "";
  /** A model that writes no marks answers in plain text. */
  #hasMarks = false;
  /** Messages of one kind are parted by a line. */
  readonly #said = { text: false, reasoning: false };
  #parting = "";

  constructor(options: AddressedParserOptions) {
    this.#options = options;
    this.#state = options.isOpened ? "text" : "head";
  }

  get callCount(): number {
    return this.#options.answer?.callCount ?? 0;
  }

  push(text: string, ids: readonly number[] = []): Delta[] {
    const out: Delta[] = [];
    const others: number[] = [];
    for (const id of ids) {
      const mark = this.#options.marks.get(id);
      if (mark === undefined) others.push(id);
      else this.#mark(mark, out);
    }
    this.#text(text, others, out);
    return out;
  }

  end(): Delta[] {
    const out: Delta[] = [];
    if (this.#state === "head" && !this.#hasMarks) this.#answer(this.#head, [], out);
    out.push(...this.#options.answer?.end() ?? []);
    return out;
  }

  #mark(mark: AddressedMark, out: Delta[]): void {
    this.#hasMarks = true;
    if (mark === "message" && this.#state !== "head") return;
    if (mark === "message") return this.#begin();
    // A head that no message follows was text.
    if (this.#state === "head" && mark === "end") this.#answer(this.#head, [], out);
    this.#state = "head";
    this.#head = "";
  }

  #begin(): void {
    const isThought = /(?:^|\s)to=self$/.test(this.#head.trimEnd());
    this.#state = isThought && !this.#options.rawThoughts ? "reasoning" : "text";
    this.#head = "";
    this.#parting = this.#said[this.#state] ? "\n\n" : "";
  }

  #text(text: string, ids: readonly number[], out: Delta[]): void {
    if (this.#state === "text") return this.#answer(text, ids, out);
    if (text === "") return;
    if (this.#state === "reasoning") {
      out.push({ kind: "reasoning", text: this.#parted("reasoning", text) });
      return;
    }
    this.#head += text;
    if (this.#head.length <= HEAD_CHARS_MAX) return;
    this.#state = "text";
    this.#answer(this.#head, ids, out);
    this.#head = "";
  }

  #answer(text: string, ids: readonly number[], out: Delta[]): void {
    const { answer } = this.#options;
    const whole = text === "" ? "" : this.#parted("text", text);
    if (answer !== undefined) out.push(...answer.push(whole, ids));
    else if (whole !== "") out.push({ kind: "text", text: whole });
  }

  #parted(kind: "text" | "reasoning", text: string): string {
    const whole = this.#parting + text;
    this.#parting = "";
    this.#said[kind] = true;
    return whole;
  }
}
