/**
 * An answer in Harmony's form to thoughts, text and calls of functions, while it comes. Marks have
 * no text of their own: they are told by their ids. The prompt has begun the first head already.
 */
import type { AnswerParser, Delta } from "./answer_parser.ts";
import { type HarmonyMark, type HarmonyMarks, MARK_TEXTS } from "./harmony_marks.ts";

export interface HarmonyParserOptions {
  readonly marks: HarmonyMarks;
  /** What the prompt ends with behind the first role, marks spelt out. */
  readonly opening: string;
  /** Whether there is a function of that name; null: none is offered. */
  readonly isKnown: ((name: string) => boolean) | null;
  /** Further calls are left out; default: none is. */
  readonly callsMax?: number;
  /** Thoughts are text like the answer. */
  readonly rawThoughts?: boolean;
}

/** The parts of a head, and what a message brings: "none" is left out. */
type State = "role" | "channel" | "constrain" | "text" | "reasoning" | "call" | "none";

/** Longer heads are no heads. */
const HEAD_CHARS_MAX = 1024;
/** As requests with earlier calls may have. */
const NAME_CHARS_MAX = 256;
const MARKS = new RegExp(`(${Object.keys(MARK_TEXTS).map(RegExp.escape).join("|")})`);

export class HarmonyParser implements AnswerParser {
  readonly #options: HarmonyParserOptions;
  #state: State = "role";
  #head = { role: "", channel: "" };
  /** A model that writes no marks answers in plain text. */
  #hasMarks = false;
  #out: Delta[] = [];
  #calls = 0;
  #hasArguments = false;
  /** What was said of each kind; messages of one kind are parted by a line. */
  readonly #said = { text: false, reasoning: false };
  #parting = "";

  constructor(options: HarmonyParserOptions) {
    this.#options = options;
    for (const part of options.opening.split(MARKS)) {
      const mark = MARK_TEXTS[part];
      if (mark === undefined) this.#text(part);
      else this.#mark(mark);
    }
  }

  get callCount(): number {
    return this.#calls;
  }

  push(text: string, ids: readonly number[] = []): Delta[] {
    for (const id of ids) {
      const mark = this.#options.marks.get(id);
      if (mark !== undefined) this.#mark(mark);
    }
    this.#text(text);
    return this.#take();
  }

  end(): Delta[] {
    if (!this.#hasMarks) this.#say("text", this.#head.role);
    this.#endMessage();
    return this.#take();
  }

  #take(): Delta[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #mark(mark: HarmonyMark): void {
    this.#hasMarks = true;
    // Without a head of its own no message begins: thoughts stay thoughts.
    const isSaying = this.#state === "reasoning" || this.#state === "text";
    if (mark === "message" && isSaying) return;
    // Any other mark ends a message, wherever it stands.
    this.#endMessage();
    if (mark === "message") return this.#beginMessage();
    if (mark === "start" || mark === "end") {
      this.#head = { role: "", channel: "" };
      this.#state = "role";
    } else this.#state = mark;
  }

  #text(text: string): void {
    if (text === "") return;
    switch (this.#state) {
      case "role":
      case "channel":
        return this.#headText(this.#state, text);
      case "text":
      case "reasoning":
        return this.#say(this.#state, text);
      case "call":
        this.#hasArguments = true;
        this.#out.push({ kind: "arguments", call: this.#calls - 1, text });
    }
  }

  #headText(part: "role" | "channel", text: string): void {
    this.#head[part] += text;
    if (this.#head[part].length <= HEAD_CHARS_MAX) return;
    const { role, channel } = this.#head;
    this.#head = { role: "", channel: "" };
    this.#state = "text";
    this.#say("text", role + channel);
  }

  #beginMessage(): void {
    const { role, channel } = this.#head;
    const recipient = /(?:^|\s)to=(\S+)/.exec(`${role} ${channel}`)?.[1];
    this.#head = { role: "", channel: "" };
    this.#state = this.#kindOf(recipient, /\w*/.exec(channel.trimStart())![0]);
    if (this.#state === "call") this.#beginCall(nameOf(recipient!));
    else if (this.#state !== "none") this.#parting = this.#said[this.#state] ? "\n\n" : "";
  }

  #kindOf(recipient: string | undefined, channel: string): "text" | "reasoning" | "call" | "none" {
    const { isKnown, callsMax = Infinity, rawThoughts } = this.#options;
    const isForPeople = recipient === undefined || /^(assistant|user|all)$/.test(recipient);
    if (!isForPeople && isKnown !== null) {
      // Nobody could send back a call without a name, or with a longer one.
      const { length } = nameOf(recipient);
      const isNamed = length > 0 && length <= NAME_CHARS_MAX;
      const isCall = isNamed && (recipient.startsWith("functions.") || isKnown(recipient));
      if (isCall) return this.#calls < callsMax ? "call" : "none";
    }
    // What it asks tools that nobody has given it is a thought.
    const isThought = channel === "analysis" || !isForPeople;
    return isThought && !rawThoughts ? "reasoning" : "text";
  }

  #beginCall(name: string): void {
    const id = `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
    this.#out.push({ kind: "call", call: this.#calls, id, name });
    this.#calls += 1;
    this.#hasArguments = false;
  }

  #endMessage(): void {
    if (this.#state === "call" && !this.#hasArguments) this.#text("{}");
    this.#state = "none";
  }

  #say(kind: "text" | "reasoning", text: string): void {
    if (text === "") return;
    const whole = this.#parting + text;
    this.#parting = "";
    this.#said[kind] = true;
    this.#out.push({ kind, text: whole });
  }
}

function nameOf(recipient: string): string {
  return recipient.startsWith("functions.") ? recipient.slice("functions.".length) : recipient;
}
