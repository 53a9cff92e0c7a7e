/**
 * The arguments of a call as some models write it, `name(city="Paris", days=3)`, to the JSON that
 * callers get, character by character. Python's literals, and JSON's where they differ. Lenient
 * inside the values, which are the caller's to judge.
 */

const SPACE = /\s/;
const NAME_CHARS_MAX = 256;

/** Words that JSON writes otherwise. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
]);
/** Escapes that mean the same in JSON; \u, too. */
const SAME_ESCAPES = '"\\/bfnrtu';
const CLOSING: Readonly<Record<string, string>> = { "[": "]", "(": "]", "{": "}" };

type State = "key" | "value" | "string" | "word" | "after";

/** Reads one call's arguments; begins behind its `(`. */
export class PythonArguments {
  #state: State = "key";
  /** A key, or a word, as far as it has come. */
  #word = "";
  #quote = "";
  #isEscaped = false;
  /** What closes the lists and objects that are open. */
  readonly #open: string[] = [];
  /** An object's member begins: JSON's names are texts. */
  #isName = false;
  /** Something parts the next value from the one before it. */
  #parting = "{";
  #out = "";

  /** @returns JSON that `char` brings; `end` says whether it ended the call, or cannot be one. */
  push(char: string): { readonly text: string; readonly end: "done" | "bad" | null } {
    this.#out = "";
    const end = this.#char(char);
    return { text: this.#out, end };
  }

  #char(char: string): "done" | "bad" | null {
    switch (this.#state) {
      case "key":
        return this.#keyChar(char);
      case "value":
        return SPACE.test(char) ? null : this.#beginValue(char);
      case "string":
        return this.#stringChar(char);
      case "word":
        if (/[\w.+-]/.test(char)) return this.#hold(char);
        this.#out += this.#isName ? JSON.stringify(this.#word) : jsonWord(this.#word);
        this.#state = "after";
        return this.#afterChar(char);
      case "after":
        return this.#afterChar(char);
    }
  }

  #keyChar(char: string): "done" | "bad" | null {
    if (/\w/.test(char)) return this.#hold(char);
    if (char === "=" && this.#word !== "") {
      this.#say(`${JSON.stringify(this.#word)}: `);
      this.#state = "value";
      return null;
    }
    if (char === ")" && this.#word === "") return this.#end();
    return SPACE.test(char) ? null : "bad";
  }

  #hold(char: string): "bad" | null {
    this.#word += char;
    return this.#word.length > NAME_CHARS_MAX ? "bad" : null;
  }

  /** Says what parts it from what was before, too. */
  #say(text: string): void {
    this.#out += this.#parting + text;
    this.#parting = "";
  }

  #beginValue(char: string): "bad" | null {
    const closing = CLOSING[char];
    if (char === '"' || char === "'") {
      this.#say('"');
      this.#quote = char;
      this.#state = "string";
    } else if (closing !== undefined) {
      this.#say(char === "{" ? "{" : "[");
      this.#open.push(closing);
      this.#isName = char === "{";
    } else if (/[\w.+-]/.test(char)) {
      this.#say("");
      this.#word = char;
      this.#state = "word";
    } else return this.#isClosing(char) ? this.#close() : "bad";
    return null;
  }

  #stringChar(char: string): null {
    if (this.#isEscaped) {
      this.#isEscaped = false;
      if (SAME_ESCAPES.includes(char)) this.#out += `\\${char}`;
      else this.#out += char === "'" ? "'" : `\\\\${inString(char)}`;
    } else if (char === "\\") this.#isEscaped = true;
    else if (char === this.#quote) {
      this.#out += '"';
      this.#state = "after";
    } else this.#out += inString(char);
    return null;
  }

  #afterChar(char: string): "done" | "bad" | null {
    if (SPACE.test(char)) return null;
    const isInside = this.#open.length > 0;
    if (char === ",") {
      this.#parting = ", ";
      this.#word = "";
      this.#state = isInside ? "value" : "key";
      this.#isName = this.#open.at(-1) === "}";
      return null;
    }
    if (char === ":" && this.#open.at(-1) === "}") {
      this.#parting = ": ";
      this.#state = "value";
      this.#isName = false;
      return null;
    }
    if (isInside) return this.#isClosing(char) ? this.#close() : "bad";
    return char === ")" ? this.#end() : "bad";
  }

  /** A tuple is a list to JSON. */
  #isClosing(char: string): boolean {
    return (char === ")" ? "]" : char) === this.#open.at(-1);
  }

  /** A comma before it says nothing. */
  #close(): null {
    this.#out += this.#open.pop();
    this.#parting = "";
    this.#state = "after";
    return null;
  }

  #end(): "done" {
    this.#out += this.#parting === "{" ? "{}" : "}";
    return "done";
  }
}

function inString(char: string): string {
  return JSON.stringify(char).slice(1, -1);
}

/** A number or a word; what JSON does not know becomes a text. */
function jsonWord(word: string): string {
  const known = WORDS.get(word) ?? word;
  try {
    JSON.parse(known);
    return known;
  } catch {
    const value = /^[+-]?\.?\d/.test(word) ? Number(word.replaceAll("_", "")) : NaN;
    return Number.isFinite(value) ? String(value) : JSON.stringify(word);
  }
}
