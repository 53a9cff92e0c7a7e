/**
 * A call as some models write it: the function's name between marks, then its arguments as JSON.
 * Works character by character; knows nothing of what opens and closes all of an answer's calls.
 */
import { BalancedScanner } from "./call_object.ts";

/** What stands around a name and its arguments. */
export interface NamedMarks {
  /** Begins a call; empty: what opens calls begins each of them. */
  readonly begin: string;
  /** Between that and the name. */
  readonly before: string;
  /** Between the name and the arguments; where a model counts its calls, behind the number. */
  readonly behind: string;
  /** Between the arguments and `end`. */
  readonly after: string;
  /** Ends a call; may be empty. */
  readonly end: string;
  /** Calls are numbered, `name:0`, and known by what they are written as. */
  readonly hasNumbers?: boolean;
  /**
   * All between `begin` and the arguments, as models are known to vary it. Its group "name" is the
   * function's; "id" is the call's where there is a "number".
   */
  readonly head: RegExp;
}

/** DeepSeek V3 and R1. */
export const FENCED_CALL: NamedMarks = {
  begin: "<｜tool▁call▁begin｜>",
  before: "function<｜tool▁sep｜>",
  behind: "\n```json\n",
  after: "\n```",
  end: "<｜tool▁call▁end｜>",
  head:
    /^\s*(?:function\s*<｜tool▁sep｜>)?\s*(?<name>[\w.:/-]+)\s*(?:<｜tool▁sep｜>)?\s*(?:```\w*)?\s*$/,
};

/** DeepSeek V3.1, which may fall back on its older form. */
export const PARTED_CALL: NamedMarks = {
  ...FENCED_CALL,
  ...{ before: "", behind: "<｜tool▁sep｜>", after: "" },
};

/** Kimi K2. */
export const NUMBERED_CALL: NamedMarks = {
  begin: "<|tool_call_begin|>",
  before: "functions.",
  behind: "<|tool_call_argument_begin|>",
  after: "",
  end: "<|tool_call_end|>",
  hasNumbers: true,
  head: new RegExp(
    String.raw`^\s*(?<id>(?:functions\.)?(?<name>[\w.:/-]+?)(?<number>:\d+)?)\s*` +
      String.raw`(?:<\|tool_call_argument_begin\|>)?\s*$`,
  ),
};

/** Mistral, since Small 3.2 and Devstral; before, calls were a list of objects. */
export const BARE_NAME_CALL: NamedMarks = {
  ...{ begin: "", before: "", behind: "[ARGS]", after: "", end: "" },
  head: /^\s*(?<name>[\w.:/-]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*$/,
};

/** Functionary 3.1, which writes JSON where others have a tag for each argument. */
export const TAGGED_CALL: NamedMarks = {
  ...{ begin: "", before: "", behind: ">", after: "", end: "</function>" },
  head: /^(?<name>[\w.:/-]+)>\s*$/,
};

/** Functionary 3.2, which says for whom each part of its answer is. */
export const RECIPIENT_CALL: NamedMarks = {
  ...{ begin: "", before: "", behind: "\n", after: "", end: "" },
  head: /^(?<name>[\w.:/-]+)[ \t]*\n\s*$/,
};

const SPACE = /\s/;
/** A name of 256 characters, and marks. */
const HEAD_CHARS_MAX = 320;
/** What ends a call, and white space. */
const TAIL_CHARS_MAX = 64;
const FENCE = "```";

type State = "before" | "head" | "arguments" | "after";

/** What a character brings. */
export interface CallProgress {
  /** The function's name, when it is known. */
  readonly name?: string;
  /** What the model calls the call, where it does. */
  readonly id?: string;
  /** JSON of its arguments. */
  readonly text: string;
  readonly end: "done" | "bad" | null;
  /** What was read last, and is none of the call. */
  readonly rest?: string;
}

const NOTHING: CallProgress = { text: "", end: null };
const BAD: CallProgress = { text: "", end: "bad" };

export class NamedCall {
  readonly #marks: NamedMarks;
  readonly #balanced = new BalancedScanner();
  #state: State;
  #held = "";
  /** What closes the arguments beside their own bracket. */
  #fence = "";

  /** isBegun: `begin` is there already. */
  constructor(marks: NamedMarks, { isBegun = false } = {}) {
    this.#marks = marks;
    this.#state = isBegun || marks.begin === "" ? "head" : "before";
  }

  push(char: string): CallProgress {
    switch (this.#state) {
      case "before":
        return this.#beforeChar(char);
      case "head":
        return this.#headChar(char);
      case "arguments":
        if (!this.#balanced.push(char)) return { text: char, end: null };
        this.#state = "after";
        return { text: char, end: this.#marks.end === "" ? "done" : null };
      case "after":
        return this.#afterChar(char);
    }
  }

  #beforeChar(char: string): CallProgress {
    if (this.#held === "" && SPACE.test(char)) return NOTHING;
    this.#held += char;
    if (!this.#marks.begin.startsWith(this.#held)) return BAD;
    if (this.#held !== this.#marks.begin) return NOTHING;
    this.#held = "";
    this.#state = "head";
    return NOTHING;
  }

  #headChar(char: string): CallProgress {
    const { head, end } = this.#marks;
    this.#held += char;
    const isEnd = end !== "" && this.#held.endsWith(end);
    if (char !== "{" && !isEnd) return this.#held.length > HEAD_CHARS_MAX ? BAD : NOTHING;
    const written = this.#held.slice(0, isEnd ? -end.length : -1);
    const { name, id, number } = head.exec(written)?.groups ?? {};
    if (name === undefined) return BAD;
    if (written.includes(FENCE)) this.#fence = FENCE;
    this.#held = "";
    this.#state = "arguments";
    const named = { name, ...(number !== undefined && { id }) };
    return isEnd ? { ...named, text: "{}", end: "done" } : { ...named, text: char, end: null };
  }

  /** What follows is the call's own as far as it can be a part of its closing. */
  #afterChar(char: string): CallProgress {
    const { end } = this.#marks;
    this.#held += char;
    const begun = this.#held.trimStart();
    const rest = begun.startsWith(this.#fence)
      ? begun.slice(this.#fence.length).trimStart()
      : begun;
    if (rest === end) return { text: "", end: "done" };
    const mayBeEnd = this.#fence.startsWith(begun) || end.startsWith(rest);
    if (mayBeEnd && this.#held.length <= TAIL_CHARS_MAX) return NOTHING;
    return { text: "", end: "done", rest: this.#held };
  }
}
