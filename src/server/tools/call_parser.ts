/**
 * A model's text to text and calls of functions, while it comes. What may still become a call is
 * held back, what is no call after all is text. Works on characters, so how the text is cut into
 * pieces makes no difference.
 */
import { BalancedScanner, CallObjectScanner } from "./call_object.ts";
import type { CallFormat } from "./call_format.ts";
import { GemmaArguments } from "./gemma_arguments.ts";
import { MarkupCall } from "./markup_call.ts";
import { PythonArguments } from "./python_arguments.ts";

/** Something new of an answer. */
export type Delta =
  | { readonly kind: "text"; readonly text: string }
  /** What the model thinks before it answers. */
  | { readonly kind: "reasoning"; readonly text: string }
  /** The call of that number begins; they count from 0. */
  | { readonly kind: "call"; readonly call: number; readonly id: string; readonly name: string }
  | { readonly kind: "arguments"; readonly call: number; readonly text: string };

/** Tells what is what in an answer, while it comes. */
export interface AnswerParser {
  /** Calls that have begun so far. */
  readonly callCount: number;
  /** What `text`, which `ids` added to the answer, brings. */
  push(text: string, ids?: readonly number[]): Delta[];
  /** What was held back, once no more text can come. */
  end(): Delta[];
}

export interface CallParserOptions {
  readonly format: CallFormat;
  /** Whether there is a function of that name. */
  readonly isKnown: (name: string) => boolean;
  /** The prompt ended with the format's opening: the answer begins within a call. */
  readonly isOpened?: boolean;
  /** The type of an argument by its function's schema; left out: no function has one. */
  readonly typeOf?: (name: string, key: string) => unknown;
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
  | "object"
  /** Within a list, between calls. */
  | "list"
  /** A bare name, up to the arguments. */
  | "name"
  /** The arguments behind a bare name. */
  | "arguments"
  /** The same where arguments are no JSON: Python's form, Gemma's. */
  | "writtenName"
  | "writtenArguments"
  /** A name and arguments between tags. */
  | "markup"
  /** Behind a call. */
  | "close";

const SPACE = /\s/;
const HELD_SPACES_MAX = 256;
const NAME_CHARS_MAX = 256;
/** What Gemma writes before a name. */
const GEMMA_PREFIX = /^call:/;

export class CallParser implements AnswerParser {
  readonly #options: CallParserOptions;
  #state: State;
  #out: Delta[] = [];
  /** Text that may be white space before an opening, or a part of an opening or a closing. */
  #held = "";
  /** All since the opening, while it may turn out to be text. */
  #raw = "";
  #object = new CallObjectScanner();
  #balanced = new BalancedScanner();
  #written: PythonArguments | GemmaArguments = new PythonArguments();
  #writtenName = "";
  #markup: MarkupCall | null = null;
  #isInList = false;
  #calls = 0;
  /** The call under way was announced. */
  #isCommitted = false;
  #isLeftOut = false;

  constructor(options: CallParserOptions) {
    this.#options = options;
    const isWhole = options.format.open === "";
    this.#state = isWhole || options.isOpened ? "begin" : "text";
    // What comes before the name is in the prompt, too.
    if (options.isOpened && options.format.markup) this.#beginMarkup({ isNamed: true });
  }

  get callCount(): number {
    return this.#calls;
  }

  push(text: string, ids: readonly number[] = []): Delta[] {
    const { open, openId } = this.#options.format;
    // The opening may be a control token, which has no text.
    if (openId !== undefined && ids.includes(openId)) this.#feed(open);
    this.#feed(text);
    return this.#take();
  }

  end(): Delta[] {
    if (this.#state === "text" || this.#state === "plain") {
      if (this.#calls === 0 || this.#held.trim() !== "") this.#say(this.#held);
    } else if (this.#state !== "close" && !this.#isCommitted) this.#say(this.#raw);
    this.#held = this.#raw = "";
    return this.#take();
  }

  #take(): Delta[] {
    const out = this.#out;
    this.#out = [];
    return out;
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
      case "object":
        return this.#objectChar(char);
      case "list":
        return this.#listChar(char);
      case "name":
        return this.#nameChar(char);
      case "arguments":
        this.#sayArguments(char);
        if (this.#balanced.push(char)) this.#endCall();
        return;
      case "writtenName":
        return this.#writtenNameChar(char);
      case "writtenArguments":
        return this.#writtenChar(char);
      case "markup":
        return this.#markupChar(char);
    }
  }

  #textChar(char: string): void {
    const { open } = this.#options.format;
    this.#held += char;
    for (;;) {
      const begun = this.#held.trimStart();
      if (begun === open) {
        this.#raw = this.#held;
        this.#held = "";
        this.#isCommitted = false;
        this.#state = "begin";
        return;
      }
      if (open.startsWith(begun) && this.#held.length <= HELD_SPACES_MAX) return;
      const first = String.fromCodePoint(this.#held.codePointAt(0)!);
      this.#say(first);
      this.#held = this.#held.slice(first.length);
      if (this.#held === "") return;
    }
  }

  #beginChar(char: string): void {
    if (SPACE.test(char)) return;
    if (this.#options.format.markup) {
      this.#beginMarkup();
      return this.#markupChar(char);
    }
    if (char === "{") return this.#beginObject();
    if (char === "[") {
      this.#isInList = true;
      this.#state = "list";
    } else if (this.#beginsWrittenName(char)) this.#beginWrittenName(char);
    else if (this.#options.format.hasBareNames && /[\w.-]/.test(char)) this.#state = "name";
    else this.#giveUp();
  }

  #beginObject(raw = this.#raw): void {
    this.#raw = raw;
    this.#object = new CallObjectScanner();
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
    const { hasPythonCalls, hasGemmaCalls } = this.#options.format;
    return (hasPythonCalls === true || hasGemmaCalls === true) && /\w/.test(char);
  }

  #beginWrittenName(char: string): void {
    this.#writtenName = char;
    this.#state = "writtenName";
  }

  #writtenNameChar(char: string): void {
    const { hasGemmaCalls } = this.#options.format;
    if (char === (hasGemmaCalls ? "{" : "(")) {
      const name = this.#writtenName;
      this.#commit(hasGemmaCalls ? name.replace(GEMMA_PREFIX, "") : name);
      this.#written = hasGemmaCalls ? new GemmaArguments() : new PythonArguments();
      this.#state = "writtenArguments";
    } else if (/[\w.:-]/.test(char) && this.#writtenName.length < NAME_CHARS_MAX) {
      this.#writtenName += char;
    } else this.#giveUp();
  }

  #writtenChar(char: string): void {
    const { text, end } = this.#written.push(char);
    this.#sayArguments(text);
    if (end === "bad") this.#giveUp();
    else if (end === "done") this.#endCall();
  }

  #beginMarkup(how: { readonly isNamed?: boolean } = {}): void {
    const { format: { markup }, typeOf = () => undefined } = this.#options;
    this.#markup = new MarkupCall(markup!, typeOf, how);
    this.#isCommitted = false;
    this.#state = "markup";
  }

  #markupChar(char: string): void {
    const { name, text, end, rest = "" } = this.#markup!.push(char);
    if (name !== undefined) this.#commit(name);
    this.#sayArguments(text);
    if (end === "bad") this.#giveUp();
    else if (end === "done") this.#endCall();
    this.#feed(rest);
  }

  #nameChar(char: string): void {
    const { open } = this.#options.format;
    if (char === "{") {
      const written = this.#raw.trimStart();
      const from = written.startsWith(open) ? open.length : 0;
      this.#commit(/^\s*[\w.-]+/.exec(written.slice(from))![0].trim());
      this.#balanced = new BalancedScanner();
      this.#sayArguments(char);
      this.#state = "arguments";
    } else if (!/[\w.[\]-]/.test(char) || this.#raw.length > NAME_CHARS_MAX) this.#giveUp();
  }

  #closeChar(char: string): void {
    const { open, close } = this.#options.format;
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
      this.#state = "plain";
    } else if (this.#beginsNextMarkup(begun)) {
      if (begun !== this.#options.format.markup!.name[0]) return;
      this.#held = "";
      return this.#beginMarkup({ isNamed: true });
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
  #beginsNextMarkup(begun: string): boolean {
    const [before = ""] = this.#options.format.markup?.name ?? [];
    return before !== "" && begun !== "" && before.startsWith(begun) &&
      this.#held.length <= HELD_SPACES_MAX;
  }

  #commit(name: string): void {
    const { callsMax = Infinity, format } = this.#options;
    this.#isCommitted = true;
    this.#raw = "";
    this.#isLeftOut = this.#calls >= callsMax;
    if (this.#isLeftOut) return;
    this.#out.push({ kind: "call", call: this.#calls, id: newCallId(format), name });
    this.#calls += 1;
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
    if (text === "") return;
    const last = this.#out.at(-1);
    if (last?.kind !== "text") this.#out.push({ kind: "text", text });
    else this.#out[this.#out.length - 1] = { kind: "text", text: last.text + text };
  }

  #sayArguments(text: string): void {
    if (text === "" || this.#isLeftOut) return;
    const call = this.#calls - 1;
    const last = this.#out.at(-1);
    if (last?.kind !== "arguments") this.#out.push({ kind: "arguments", call, text });
    else this.#out[this.#out.length - 1] = { kind: "arguments", call, text: last.text + text };
  }
}

/** Mistral's templates insist on nine letters and digits. */
function newCallId({ idChars }: CallFormat): string {
  const id = crypto.randomUUID().replaceAll("-", "");
  return idChars === null ? `call_${id.slice(0, 24)}` : id.slice(0, idChars);
}
