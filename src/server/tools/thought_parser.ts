/**
 * What a model thinks before it answers, told apart from the answer, while it comes: thoughts stand
 * between two marks at the beginning. What follows is another parser's, or text.
 */
import { tagSuffixOf } from "./markup_call.ts";
import type { AnswerParser, Delta } from "./answer_parser.ts";

/** What thoughts stand between. */
export interface ThoughtMarks {
  readonly open: string;
  readonly close: string;
  /** What closes thoughts that are not to be had, as the model would write it. */
  readonly closing: string;
  /** What stands between them and the answer. */
  readonly answer?: string;
  /** What of them a template has; left out: what closes them. */
  readonly sign?: string;
}

const TAGS: ThoughtMarks = { open: "<think>", close: "</think>", closing: "</think>\n\n" };
/** Gemma 4's channel of thoughts. */
const CHANNEL: ThoughtMarks = {
  open: "<|channel>thought",
  close: "<channel|>",
  closing: "<channel|>",
};

/** Magistral's, and those of Ministral 3. */
const BRACKETS: ThoughtMarks = { open: "[THINK]", close: "[/THINK]", closing: "[/THINK]" };
/** Command R7B and later. */
const ACTIONS: ThoughtMarks = {
  open: "<|START_THINKING|>",
  close: "<|END_THINKING|>",
  closing: "<|END_THINKING|>",
};

/** Apertus'. */
const INNER: ThoughtMarks = {
  open: "<|inner_prefix|>",
  close: "<|inner_suffix|>",
  closing: "<|inner_suffix|>",
};

/** Kimi K3's, whose template puts its tags together. */
const SECTIONS: ThoughtMarks = {
  open: "<|open|>think<|sep|>",
  close: "<|close|>think<|sep|>",
  closing: "<|close|>think<|sep|><|open|>response<|sep|>",
  answer: "<|open|>response<|sep|>",
  sign: "<|open|>",
};

/** The marks that a chat template knows; null: none. */
export function thoughtMarksOf(template: string): ThoughtMarks | null {
  const suffix = tagSuffixOf(template);
  if (suffix !== undefined) {
    const [open, close] = [`<think${suffix}>`, `</think${suffix}>`];
    return { open, close, closing: close };
  }
  const all = [TAGS, CHANNEL, BRACKETS, ACTIONS, INNER, SECTIONS];
  return all.find(({ close, sign = close }) => template.includes(sign)) ?? null;
}

export interface ThoughtParserOptions {
  /** The prompt opened the thoughts: the answer begins within them. */
  readonly isOpened: boolean;
  /** Left out: `<think>` and `</think>`. */
  readonly marks?: ThoughtMarks;
  /** Marks that are control tokens, which have no text in an answer. */
  readonly controls?: ReadonlyMap<number, string>;
  /** Reads what follows; left out: it is text. */
  readonly answer?: AnswerParser;
  /** Calls may be made before thoughts are closed. */
  readonly callMark?: CallMark;
}

/** What opens calls, and which of its pieces are control tokens. */
export interface CallMark {
  readonly open: string;
  readonly controls?: ReadonlyMap<number, string>;
}

type State = "start" | "open" | "thoughts" | "behind" | "answer";

/** White space that is held back is looked at with every piece that comes. */
const HELD_SPACES_MAX = 256;

export class ThoughtParser implements AnswerParser {
  readonly #answer: AnswerParser | undefined;
  readonly #marks: ThoughtMarks;
  readonly #controls: ReadonlyMap<number, string> | undefined;
  readonly #callMark: CallMark | undefined;
  #state: State;
  /** Text that was not told yet. */
  #held = "";

  constructor({ isOpened, marks = TAGS, controls, answer, callMark }: ThoughtParserOptions) {
    this.#answer = answer;
    this.#callMark = callMark;
    this.#controls = controls;
    this.#marks = marks;
    this.#state = isOpened ? "open" : "start";
  }

  get callCount(): number {
    return this.#answer?.callCount ?? 0;
  }

  push(text: string, ids: readonly number[] = []): Delta[] {
    const isAnswer = this.#state === "answer";
    const isThinking = this.#state === "thoughts" || this.#state === "open";
    const others = isThinking ? this.#callMark?.controls : undefined;
    const mark = ids.map((id) => this.#controls?.get(id) ?? others?.get(id) ?? "").join("");
    if (!isAnswer) this.#held += mark;
    this.#held += text;
    const thoughts: Delta[] = [];
    // A control token of the answer's has no text that would begin it.
    const isBeginning = ids.length > 0 && text + mark === "";
    if (isBeginning && (this.#state === "start" || this.#state === "behind")) {
      if (this.#state === "behind") this.#held = "";
      this.#state = "answer";
      return [...this.#read(this.#take(), []), ...this.#read("", ids)];
    }
    // Every state hands the rest on to the next one.
    if (this.#state === "start") this.#start();
    if (this.#state === "open") this.#open();
    if (this.#state === "thoughts") this.#think(thoughts);
    if (this.#state === "behind") this.#behind();
    if (this.#state !== "answer") return thoughts;
    // What is spelt in the text already comes once only.
    const isSpelt = (id: number) => this.#controls?.has(id) || others?.has(id);
    const rest = isAnswer ? ids : ids.filter((id) => !isSpelt(id));
    return [...thoughts, ...this.#read(this.#take(), rest)];
  }

  end(): Delta[] {
    const held = this.#take();
    if (this.#state === "thoughts") {
      const text = held.trimEnd();
      return text === "" ? [] : [{ kind: "reasoning", text }];
    }
    const rest = this.#state === "start" ? this.#read(held, []) : [];
    return [...rest, ...this.#answer?.end() ?? []];
  }

  #take(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  #read(text: string, ids: readonly number[]): Delta[] {
    return this.#answer?.push(text, ids) ?? (text === "" ? [] : [{ kind: "text", text }]);
  }

  #start(): void {
    const { open } = this.#marks;
    const begun = this.#held.trimStart();
    const spaces = this.#held.length - begun.length;
    if (spaces > HELD_SPACES_MAX) this.#state = "answer";
    else if (begun.startsWith(open)) {
      this.#held = begun.slice(open.length);
      this.#state = "open";
    } else if (!open.startsWith(begun)) this.#state = "answer";
  }

  /** White space before thoughts, behind them and before the answer is nobody's. */
  #open(): void {
    this.#held = this.#held.trimStart();
    if (this.#held !== "") this.#state = "thoughts";
  }

  #think(out: Delta[]): void {
    const held = this.#held;
    const ends = [this.#marks.close, this.#callMark?.open ?? ""].filter((mark) => mark !== "");
    const [end, close] = ends.map((mark) => [held.indexOf(mark), mark] as const)
      .filter(([at]) => at >= 0).sort(([a], [b]) => a - b)[0] ?? [-1, ""];
    const rest = Math.min(...ends.map((mark) => heldFrom(held, mark)));
    const known = held.slice(0, end < 0 ? rest : end);
    const text = end < 0 ? known : known.slice(0, trimmedLength(known));
    if (text !== "") out.push({ kind: "reasoning", text });
    const isCall = close !== this.#marks.close;
    this.#held = held.slice(known.length + (isCall ? 0 : close.length));
    if (end >= 0) this.#state = isCall ? "answer" : "behind";
  }

  #behind(): void {
    this.#held = this.#held.trimStart();
    if (this.#held !== "") this.#state = "answer";
  }
}

/** Where the end of `text` begins that may be white space before a closing, or a part of one. */
function heldFrom(text: string, close: string): number {
  let begin = text.length;
  for (let length = Math.min(close.length - 1, text.length); length > 0; length--) {
    if (!text.endsWith(close.slice(0, length))) continue;
    begin = text.length - length;
    break;
  }
  return trimmedLength(text.slice(0, begin));
}

/** Without the white space at its end, as far as that is held back. */
function trimmedLength(text: string): number {
  return Math.max(text.trimEnd().length, text.length - HELD_SPACES_MAX);
}
