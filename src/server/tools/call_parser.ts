/**
 * A model's text to text and calls of functions, while it comes. What may still become a call is
 * held back, what is no call after all is text. Works on characters, so how the text is cut into
 * pieces makes no difference.
 */
import { type AnswerParser, type Delta, DeltaList } from "./answer_parser.ts";
import { newCallId } from "./call_ids.ts";
import { CallObjectScanner } from "./call_object.ts";
import type { CallFormat } from "./call_format.ts";
import { GemmaArguments } from "./gemma_arguments.ts";
import { type ArgumentTypes, MarkupCall } from "./markup_call.ts";
import { type CallProgress, NamedCall } from "./named_call.ts";
import { PythonArguments } from "./python_arguments.ts";
import { judgeLead } from "./recipient_lead.ts";

export interface CallParserOptions {
  readonly format: CallFormat;
  /** Whether there is a function of that name. */
  readonly isKnown: (name: string) => boolean;
  /** The prompt ended with the format's opening: the answer begins within a call. */
  readonly isOpened?: boolean;
  /** The answer is nothing but calls: what was cut off is none, and no text either. */
  readonly isDue?: boolean;
  /** Left out: no function says what its arguments are. */
  readonly typeOf?: ArgumentTypes;
  /** Further calls are left out; default: none is. */
  readonly callsMax?: number;
}

type State =
  /** Text; a call may open. */
  | "text"
  /** Text to the end. */
  | "plain"
  /** Behind the opening: an object, a list or a name. */
  | "begin"
  /** Behind the opening: what says that text follows, or a name. */
  | "lead"
  | "object"
  /** Within a list, between calls. */
  | "list"
  /** Calls whose arguments are no JSON: Python's form, Gemma's. */
  | "writtenName"
  | "writtenArguments"
  /** A name, then arguments, between tags or marks. */
  | "marked"
  /** Behind a call. */
  | "close";

const SPACE = /\s/;
const HELD_SPACES_MAX = 256;
const NAME_CHARS_MAX = 256;
const NO_CONTROLS: ReadonlyMap<number, string> = new Map();
/** What Gemma writes before a name. */
const GEMMA_PREFIX = /^call:/;
/** What Llama 3 writes behind one. */
const DOTTED = /\.call$/;

export class CallParser implements AnswerParser {
  readonly #options: CallParserOptions;
  #state: State;
  readonly #out = new DeltaList();
  /** Text that may be white space before an opening, or a part of an opening or a closing. */
  #held = "";
  /** All since the opening, while it may turn out to be text. */
  #raw = "";
  #object = new CallObjectScanner();
  #written: PythonArguments | GemmaArguments = new PythonArguments();
  #writtenName = "";
  #marked: { push(char: string): CallProgress } | null = null;
  #isInList = false;
  #calls = 0;
  /** The call under way was announced. */
  #isCommitted = false;
  #isLeftOut = false;
  /** What calls of this answer are called. */
  readonly #ids = new Set<string>();

  constructor(options: CallParserOptions) {
    this.#options = options;
    const isWhole = options.format.open === "";
    this.#state = isWhole || options.isOpened ? this.#beginning : "text";
    // What comes before the name is in the prompt, too.
    if (options.isOpened && this.#isMarked) this.#beginMarked({ isBegun: true });
  }

  get callCount(): number {
    return this.#calls;
  }

  push(text: string, ids: readonly number[] = []): Delta[] {
    const { open, bareMark, frames = [], controls = NO_CONTROLS } = this.#options.format;
    // Marks may be control tokens, which have no text. Only the opening means something in a text.
    for (const id of ids) {
      const mark = controls.get(id);
      const isInText = this.#state === "text" || this.#state === "plain";
      if (mark === undefined) continue;
      const isHeard = mark === bareMark
        ? this.#state === "begin"
        : !isInText || [open, ...frames].some((each) => each.includes(mark));
      if (isHeard) this.#feed(mark);
    }
    this.#feed(text);
    return this.#out.take();
  }

  end(): Delta[] {
    if (this.#state === "text" || this.#state === "plain") {
      if (this.#calls === 0 || this.#held.trim() !== "") this.#say(this.#held);
    } else if (this.#state !== "close" && !this.#isCommitted && !this.#options.isDue) {
      this.#say(this.#raw);
    }
    this.#held = this.#raw = "";
    return this.#out.take();
  }

  #feed(text: string): void {
    for (const char of text) this.#char(char);
  }

  #char(char: string): void {
    switch (this.#state) {
      case "plain":
        return this.#say(char);
      case "text":
        return this.#textChar(char);
      case "close":
        return this.#closeChar(char);
    }
    if (!this.#isCommitted) this.#raw += char;
    switch (this.#state) {
      case "begin":
        return this.#beginChar(char);
      case "lead":
        return this.#leadChar();
      case "object":
        return this.#objectChar(char);
      case "list":
        return this.#listChar(char);
      case "writtenName":
        return this.#writtenNameChar(char);
      case "writtenArguments":
        return this.#writtenChar(char);
      case "marked":
        return this.#markedChar(char);
    }
  }

  #textChar(char: string): void {
    const { open, frames = [] } = this.#options.format;
    this.#held += char;
    for (;;) {
      const begun = this.#held.trimStart();
      const frame = frames.find((each) => this.#held.endsWith(each) && begun === each);
      if (frame !== undefined) {
        const blanks = this.#held.slice(0, -frame.length);
        this.#held = "";
        return this.#say(this.#calls === 0 ? blanks : "");
      }
      if (begun === open) {
        this.#raw = this.#held;
        this.#held = "";
        this.#isCommitted = false;
        this.#state = this.#beginning;
        return;
      }
      const mayOpen = [open, ...frames].some((each) => each.startsWith(begun));
      if (mayOpen && this.#held.length <= HELD_SPACES_MAX) return;
      const first = String.fromCodePoint(this.#held.codePointAt(0)!);
      this.#say(first);
      this.#held = this.#held.slice(first.length);
      if (this.#held === "") return;
    }
  }

  #beginChar(char: string): void {
    if (SPACE.test(char) || this.#isBareMark()) return;
    if (this.#isMarked) {
      this.#beginMarked();
      return this.#markedChar(char);
    }
    if (char === "{") return this.#beginObject();
    if (char === "[") {
      this.#isInList = true;
      this.#state = "list";
    } else if (this.#beginsWrittenName(char)) this.#beginWrittenName(char);
    else if (this.#options.format.named && /[\w.:/-]/.test(char)) {
      this.#beginMarked();
      this.#markedChar(char);
    } else this.#giveUp();
  }

  /** What may stand before calls that have no opening is none of them, nor text. */
  #isBareMark(): boolean {
    const { bareMark = "" } = this.#options.format;
    const begun = this.#raw.trimStart();
    if (begun === bareMark) this.#raw = "";
    return bareMark.startsWith(begun);
  }

  get #beginning(): State {
    return this.#options.format.textLead === undefined ? "begin" : "lead";
  }

  #leadChar(): void {
    const raw = this.#raw;
    const verdict = judgeLead(raw, this.#options.format);
    if (verdict === "more") return;
    if (verdict === "call") {
      this.#beginMarked();
      for (const char of raw.trimStart().replace(this.#options.format.open, "")) {
        this.#markedChar(char);
      }
      return;
    }
    this.#raw = "";
    this.#state = "text";
    if (verdict === "text") return;
    // Behind its first character something may open.
    const first = String.fromCodePoint(raw.codePointAt(0)!);
    this.#say(first);
    this.#feed(raw.slice(first.length));
  }

  #beginObject(raw = this.#raw): void {
    this.#raw = raw;
    const { isKeyed, nameKey } = this.#options.format;
    this.#object = new CallObjectScanner(isKeyed ? null : nameKey);
    this.#isCommitted = false;
    this.#state = "object";
  }

  #objectChar(char: string): void {
    const progress = this.#object.push(char);
    if (progress === "bad") return this.#giveUp();
    const { name, hasArguments } = this.#object;
    if (!this.#isCommitted && name !== null) {
      const isMarked = this.#options.format.open !== "";
      if (!isMarked && !this.#options.isKnown(name)) return this.#giveUp();
      // Without an opening, a name alone is not enough to be sure.
      if (isMarked || hasArguments || progress === "done") this.#commit(name);
    }
    if (this.#isCommitted) this.#sayArguments(this.#object.takeArguments());
    if (progress !== "done") return;
    if (!hasArguments) this.#sayArguments("{}");
    this.#endCall();
  }

  #listChar(char: string): void {
    if (char === "{") this.#beginObject(this.#isCommitted ? char : this.#raw);
    else if (this.#beginsWrittenName(char)) this.#beginWrittenName(char);
    else if (char === "]") {
      if (!this.#isCommitted) return this.#giveUp();
      this.#isInList = false;
      this.#endCall();
    } else if (!SPACE.test(char) && char !== ",") this.#giveUp();
  }

  #beginsWrittenName(char: string): boolean {
    const { hasPythonCalls, gemmaQuote, hasDottedCalls } = this.#options.format;
    return Boolean(hasPythonCalls || gemmaQuote || hasDottedCalls) && /\w/.test(char);
  }

  #beginWrittenName(char: string): void {
    this.#writtenName = char;
    this.#state = "writtenName";
  }

  #writtenNameChar(char: string): void {
    const { gemmaQuote: quote, hasDottedCalls } = this.#options.format;
    if (char === (quote ? "{" : "(")) {
      const written = this.#writtenName;
      const name = written.replace(quote ? GEMMA_PREFIX : hasDottedCalls ? DOTTED : "", "");
      // Without an opening it is a call only where it could be no text.
      const isCall = !hasDottedCalls || DOTTED.test(written) && this.#options.isKnown(name);
      if (!isCall) return this.#giveUp();
      this.#commit(name);
      this.#written = quote ? new GemmaArguments(quote) : new PythonArguments();
      this.#state = "writtenArguments";
    } else if (/[\w.:/-]/.test(char) && this.#writtenName.length < NAME_CHARS_MAX) {
      this.#writtenName += char;
    } else this.#giveUp();
  }

  #writtenChar(char: string): void {
    const { text, end } = this.#written.push(char);
    this.#sayArguments(text);
    if (end === "bad") this.#giveUp();
    else if (end === "done") this.#endCall();
  }

  /** Marks of its own begin each call, so that it cannot be an object or a list. */
  get #isMarked(): boolean {
    const { markup, named } = this.#options.format;
    return markup !== undefined || named !== undefined && named.begin !== "";
  }

  #beginMarked(how: { readonly isBegun?: boolean } = {}): void {
    const { format: { markup, named }, typeOf = () => undefined } = this.#options;
    this.#marked = markup ? new MarkupCall(markup, typeOf, how) : new NamedCall(named!, how);
    this.#isCommitted = false;
    this.#state = "marked";
  }

  #markedChar(char: string): void {
    const { name, id, text, end, rest = "" } = this.#marked!.push(char);
    if (name !== undefined) this.#commit(name, id);
    this.#sayArguments(text);
    if (end === "bad") this.#giveUp();
    else if (end === "done") this.#endCall();
    this.#feed(rest);
  }

  #closeChar(char: string): void {
    const { open, close, isBlock } = this.#options.format;
    this.#held += char;
    const begun = this.#held.trimStart();
    if (open === "") {
      // Further calls follow bare, parted by white space or a semicolon.
      if (/^[\s;,]*$/.test(this.#held)) return;
      if (char === "{" && this.#held.length <= HELD_SPACES_MAX) {
        const held = this.#held;
        this.#held = "";
        return this.#beginObject(held);
      }
      if (this.#beginsWrittenName(char) && this.#held.length <= HELD_SPACES_MAX) {
        this.#raw = this.#held;
        this.#held = "";
        this.#isCommitted = false;
        return this.#beginWrittenName(char);
      }
      this.#state = "plain";
    } else if (isBlock && begun === "{") {
      this.#held = "";
      return this.#beginObject("{");
    } else if (this.#beginsNext(begun)) {
      if (begun !== this.#nextBegin) return;
      this.#held = "";
      return this.#beginMarked({ isBegun: true });
    } else if (close !== "" && close.startsWith(begun) && this.#held.length <= HELD_SPACES_MAX) {
      if (begun !== close) return;
      this.#held = "";
      this.#state = "text";
      return;
    } else this.#state = "text";
    const held = this.#held;
    this.#held = "";
    this.#feed(held);
  }

  /** Between the same tags there may be more calls. */
  get #nextBegin(): string {
    const { markup, named } = this.#options.format;
    return markup?.name[0] ?? named?.begin ?? "";
  }

  #beginsNext(begun: string): boolean {
    return begun !== "" && this.#nextBegin.startsWith(begun) &&
      this.#held.length <= HELD_SPACES_MAX;
  }

  #commit(name: string, ownId?: string): void {
    const { callsMax = Infinity, format } = this.#options;
    this.#isCommitted = true;
    this.#raw = "";
    this.#isLeftOut = this.#calls >= callsMax;
    if (this.#isLeftOut) return;
    const isNew = ownId !== undefined && !this.#ids.has(ownId);
    const id = isNew ? ownId : newCallId(format);
    this.#ids.add(id);
    this.#out.addCall(this.#calls++, id, name);
  }

  #endCall(): void {
    this.#state = this.#isInList ? "list" : "close";
  }

  /** It is no call: what was not announced is text. */
  #giveUp(): void {
    const text = this.#isCommitted ? "" : this.#raw;
    this.#raw = "";
    this.#isInList = this.#isCommitted = false;
    this.#state = this.#options.format.open === "" ? "plain" : "text";
    this.#say(text);
  }

  #say(text: string): void {
    this.#out.addText(text);
  }

  #sayArguments(text: string): void {
    if (!this.#isLeftOut) this.#out.addArguments(this.#calls - 1, text);
  }
}

/** Reads an answer of a model that was offered no functions: all of it is text. */
export function plainParser(format: CallFormat): AnswerParser {
  const isOpened = format.textLead !== undefined;
  return new CallParser({ format, isOpened, isKnown: () => false, callsMax: 0 });
}
