/**
 * A call of a function as models write it, `{"name": …, "arguments": {…}}`, read character by
 * character: the name as soon as it is there, the arguments while they come. Lenient inside the
 * arguments, which are the caller's to judge.
 */

const SPACE = /\s/;
const NAME_CHARS_MAX = 256;

/** Finds where a JSON object or list ends that has begun already. */
export class BalancedScanner {
  #depth = 1;
  #isInString = false;
  #isEscaped = false;

  /** @returns true when `char` is the bracket that ends it. */
  push(char: string): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (char === "\\") this.#isEscaped = true;
      else if (char === '"') this.#isInString = false;
    } else if (char === '"') this.#isInString = true;
    else if (char === "{" || char === "[") this.#depth += 1;
    else if (char === "}" || char === "]") this.#depth -= 1;
    return this.#depth === 0;
  }
}

type State = "key" | "inKey" | "colon" | "value" | "string" | "nested" | "literal" | "after";

/** Reads one call; begins behind its `{`. */
export class CallObjectScanner {
  /** Null: the object's one member is named by the function. */
  readonly #nameKey: string | null;
  #state: State = "key";
  #key = "";
  /** The key or the value that is being read, as it is written. */
  #raw = "";
  #isEscaped = false;
  #nested = new BalancedScanner();
  #name: string | null = null;
  #newArguments = "";
  #hasArguments = false;

  /** nameKey: what the model calls a function's name; null: the name is itself a key. */
  constructor(nameKey: string | null = "name") {
    this.#nameKey = nameKey;
  }

  /** The function's name, once it is known. */
  get name(): string | null {
    return this.#name;
  }

  /** True once the arguments have begun. */
  get hasArguments(): boolean {
    return this.#hasArguments;
  }

  /** What of the arguments has come since this was called last. */
  takeArguments(): string {
    const text = this.#newArguments;
    this.#newArguments = "";
    return text;
  }

  /** @returns "done" when `char` ends the call, "bad" when it is no call. */
  push(char: string): "more" | "done" | "bad" {
    switch (this.#state) {
      case "key":
        if (char === '"') return this.#begin("inKey", char);
        if (char === "}") return this.#end();
        return SPACE.test(char) || char === "," ? "more" : "bad";
      case "inKey":
      case "string":
        return this.#stringChar(char);
      case "colon":
        if (char === ":") return this.#begin("value", "");
        return SPACE.test(char) ? "more" : "bad";
      case "value":
        return SPACE.test(char) ? "more" : this.#beginValue(char);
      case "nested":
        if (this.#isArguments) this.#newArguments += char;
        if (this.#nested.push(char)) this.#state = "after";
        return "more";
      case "literal":
        return this.#literalChar(char);
      case "after":
        if (char === ",") return this.#begin("key", "");
        if (char === "}") return this.#end();
        return SPACE.test(char) ? "more" : "bad";
    }
  }

  get #isArguments(): boolean {
    if (this.#nameKey === null) return this.#key === this.#name;
    return this.#key === "arguments" || this.#key === "parameters";
  }

  #begin(state: State, raw: string): "more" {
    this.#state = state;
    this.#raw = raw;
    return "more";
  }

  #beginValue(char: string): "more" | "bad" {
    if (char === '"') return this.#begin("string", char);
    if (this.#key === this.#nameKey) return "bad";
    if (char === "{" || char === "[") {
      this.#nested = new BalancedScanner();
      if (this.#isArguments) {
        this.#newArguments += char;
        this.#hasArguments = true;
      }
      return this.#begin("nested", "");
    }
    return /[-\dtfn]/.test(char) ? this.#begin("literal", char) : "bad";
  }

  #stringChar(char: string): "more" | "bad" {
    this.#raw += char;
    if (this.#isEscaped) {
      this.#isEscaped = false;
      return "more";
    }
    if (char === "\\") this.#isEscaped = true;
    if (char !== '"') {
      const isNamed = this.#state === "inKey" || this.#key === this.#nameKey;
      return isNamed && this.#raw.length > NAME_CHARS_MAX ? "bad" : "more";
    }
    let text: string;
    try {
      text = JSON.parse(this.#raw);
    } catch {
      return "bad";
    }
    if (this.#state === "inKey") {
      this.#key = text;
      if (this.#nameKey === null) this.#name ??= text;
      return this.#begin("colon", "");
    }
    if (this.#key === this.#nameKey) this.#name ??= text;
    else if (this.#isArguments) {
      // Some models write the arguments as a string of JSON.
      this.#newArguments += text;
      this.#hasArguments = true;
    }
    return this.#begin("after", "");
  }

  #literalChar(char: string): "more" | "done" | "bad" {
    if (/[\w.+-]/.test(char)) return "more";
    this.#state = "after";
    return this.push(char);
  }

  #end(): "done" | "bad" {
    return this.#name === null ? "bad" : "done";
  }
}
