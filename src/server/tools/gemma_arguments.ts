/**
 * Arguments of a call as Gemma 4 and FunctionGemma write them, behind `{`, to JSON: names are bare,
 * texts stand between marks of their own, and everything else is as in JSON. Works character by
 * character.
 */

/** What texts of Gemma 4 stand between. */
export const GEMMA_QUOTE = '<|"|>';
/** And those of FunctionGemma. */
export const ESCAPE_QUOTE = "<escape>";
const CHARS_MAX = 1 << 20;

export interface GemmaProgress {
  /** What came to the JSON. */
  readonly text: string;
  readonly end: "done" | null;
}

const NOTHING: GemmaProgress = { text: "", end: null };

type State = "key" | "value" | "text" | "behind";

export class GemmaArguments {
  readonly #quote: string;
  /** What is open: objects and lists. */
  readonly #open: ("{" | "[")[] = ["{"];
  #state: State = "key";
  /** What has come of a name, a value or a text: looked at when it is whole. */
  #held = "";
  /** Characters of it, white space at its beginning left out. */
  #begun = 0;
  /** As much of its end as the mark of texts is long. */
  #tail = "";
  /** The text is a name. */
  #isKey = false;
  /** Comes before the next name or value, if there is one. */
  #parting = "{";

  /** quote: what texts stand between. */
  constructor(quote = GEMMA_QUOTE) {
    this.#quote = quote;
  }

  push(char: string): GemmaProgress {
    if (this.#held.length > CHARS_MAX) return this.#giveUp();
    switch (this.#state) {
      case "key":
        return this.#keyChar(char);
      case "value":
        return this.#valueChar(char);
      case "text":
        return this.#textChar(char);
      case "behind":
        return this.#behindChar(char);
    }
  }

  #go(state: State, text = ""): GemmaProgress {
    this.#state = state;
    this.#forget();
    return { text, end: null };
  }

  #hold(char: string): void {
    this.#held += char;
    this.#tail = (this.#tail + char).slice(-this.#quote.length);
    if (this.#begun > 0 || char.trim() !== "") this.#begun += char.length;
  }

  #forget(): void {
    this.#held = this.#tail = "";
    this.#begun = 0;
  }

  /** Behind what parts it from what was before; a name's value is parted from it by a colon. */
  #parted(text: string): string {
    const parted = this.#parting + text;
    this.#parting = this.#state === "key" ? ": " : "";
    return parted;
  }

  #keyChar(char: string): GemmaProgress {
    if (char === "}" && this.#begun === 0) return this.#close(char);
    if (char === ":") return this.#go("value", this.#parted(JSON.stringify(this.#held.trim())));
    this.#hold(char);
    return this.#beginsText(true);
  }

  #valueChar(char: string): GemmaProgress {
    if (this.#begun === 0 && (char === "{" || char === "[")) {
      this.#open.push(char);
      const text = this.#parted(char);
      return this.#go(char === "{" ? "key" : "value", text);
    }
    if (char !== "," && char !== "}" && char !== "]") {
      this.#hold(char);
      return this.#beginsText(false);
    }
    const begun = this.#held.trim();
    // Nothing is none of a list; a name needs a value.
    const isNone = begun === "" && this.#open.at(-1) === "[";
    if (isNone && char === ",") return this.#go("value");
    const value = isNone ? "" : this.#parted(begun === "" ? "null" : literal(begun));
    this.#go("behind");
    const { text, end } = this.#behindChar(char);
    return { text: value + text, end };
  }

  /** Where what has come is the mark of a text, one begins. */
  #beginsText(isKey: boolean): GemmaProgress {
    if (this.#begun !== this.#quote.length || this.#tail !== this.#quote) return NOTHING;
    this.#isKey = isKey;
    return this.#go("text");
  }

  #textChar(char: string): GemmaProgress {
    this.#hold(char);
    if (this.#tail !== this.#quote) return NOTHING;
    const text = this.#held.slice(0, -this.#quote.length);
    if (!this.#isKey) return this.#go("behind", this.#parted(JSON.stringify(text)));
    this.#go("key");
    for (const each of text) this.#hold(each);
    return NOTHING;
  }

  #behindChar(char: string): GemmaProgress {
    if (char === ",") {
      this.#parting = ", ";
      return this.#go(this.#open.at(-1) === "{" ? "key" : "value");
    }
    if (char === "}" || char === "]") return this.#close(char);
    return char.trim() === "" ? NOTHING : this.#giveUp();
  }

  #close(char: "}" | "]"): GemmaProgress {
    if (this.#open.at(-1) !== (char === "}" ? "{" : "[")) return this.#giveUp();
    this.#open.pop();
    // Of the outermost object nothing was said if it is empty.
    const { text } = this.#go("behind", this.#parting === "{" ? `{${char}` : char);
    this.#parting = "";
    return { text, end: this.#open.length === 0 ? "done" : null };
  }

  /** These are no arguments any more. What was said of them stays JSON. */
  #giveUp(): GemmaProgress {
    const value = this.#parting === "{" ? "{" : this.#parting === ": " ? ": null" : "";
    const closing = this.#open.toReversed().map((each) => each === "{" ? "}" : "]").join("");
    return { text: value + closing, end: "done" };
  }
}

/** JSON as it was written, or a text. */
function literal(written: string): string {
  try {
    JSON.parse(written);
    return written;
  } catch {
    return JSON.stringify(written);
  }
}
