/**
 * A call as some models write it, each argument between tags of its own, to the JSON that callers
 * get. What a value is (a text, or JSON) the function's schema says. Works character by character.
 */
import type { CallProgress } from "./named_call.ts";

/** The tags of a model's calls, between what opens and what closes them. */
export interface Markup {
  /** Before a function's name; empty: it comes at once. And behind it. */
  readonly name: readonly [before: string, behind: string];
  /** Around an argument's name. */
  readonly key: readonly [before: string, behind: string];
  /** Around its value; the first may be empty. */
  readonly value: readonly [before: string, behind: string];
  readonly end: string;
  /** A line's end behind what begins a value, and before what ends it, is none of its own. */
  readonly hasLines: boolean;
  /** Behind a function's name stands which call it is: ` index="1"`. */
  readonly hasNumbers?: boolean;
  /** Behind an argument's name stands of what type it is. */
  readonly type?: TypeAttribute;
  /** A value may be wrapped as XML's character data. */
  readonly hasCdata?: boolean;
  /** Nothing stands between tags, not even a line's end. */
  readonly isTight?: boolean;
  /** Several calls stand between one opening and its closing. */
  readonly isBlock?: boolean;
}

/** ` string="true"`. */
export interface TypeAttribute {
  readonly name: string;
  /** Its value for texts, and for all else. */
  readonly text: string;
  readonly others: readonly string[];
}

/** Qwen 3 Coder, Qwen 3.5. */
export const FUNCTION_TAGS: Markup = {
  name: ["<function=", ">"],
  key: ["<parameter=", ">"],
  value: ["", "</parameter>"],
  end: "</function>",
  hasLines: true,
};

/** MiniMax M2. */
export const INVOKE_TAGS: Markup = {
  name: ['<invoke name="', '">'],
  key: ['<parameter name="', '">'],
  value: ["", "</parameter>"],
  end: "</invoke>",
  hasLines: false,
  isBlock: true,
};

/** Muse Glimmer. */
export const ATEM_TAGS: Markup = {
  ...INVOKE_TAGS,
  name: ['<atem:invoke name="', '">'],
  key: ['<atem:parameter name="', '">'],
  value: ["", "</atem:parameter>"],
  end: "</atem:invoke>",
};

/** MiniCPM 5, whose first tag opens the call. */
export const PARAM_TAGS: Markup = {
  name: ["", '">'],
  key: ['<param name="', '">'],
  value: ["", "</param>"],
  end: "</function>",
  hasLines: false,
  hasCdata: true,
};

/** What Hy3's template puts behind the names of its tags. */
export function tagSuffixOf(template: string): string | undefined {
  if (!template.includes("<tool_sep{}>")) return undefined;
  return /= '(:\w{1,64})' %\}/.exec(template)?.[1];
}

/** Hy3, whose tags have a suffix. */
export function suffixedTags(suffix: string): Markup {
  const around = (tag: string) => [`<${tag}${suffix}>`, `</${tag}${suffix}>`] as const;
  return {
    name: [`<tool_call${suffix}>`, `<tool_sep${suffix}>`],
    key: around("arg_key"),
    value: around("arg_value"),
    end: `</tool_call${suffix}>`,
    hasLines: false,
    isBlock: true,
  };
}

/** The mark of DeepSeek's tags since V3.2. */
export const DSML = "｜DSML｜";

/** DeepSeek V3.2, V4. */
export const DSML_TAGS: Markup = {
  name: [`<${DSML}invoke name="`, '">'],
  key: [`<${DSML}parameter name="`, '">'],
  value: ["", `</${DSML}parameter>`],
  end: `</${DSML}invoke>`,
  hasLines: false,
  type: { name: "string", text: "true", others: ["false"] },
  isBlock: true,
};

/** Kimi K3. */
export const XTML_TAGS: Markup = {
  name: ['<|open|>call tool="', '"<|sep|>'],
  key: ['<|open|>argument key="', '"<|sep|>'],
  value: ["", "<|close|>argument<|sep|>"],
  end: "<|close|>call<|sep|>",
  hasLines: false,
  hasNumbers: true,
  type: {
    name: "type",
    text: "string",
    others: ["number", "boolean", "null", "object", "array"],
  },
  isTight: true,
  isBlock: true,
};

/** GLM 4.5 and later, whose last tag closes the call, too. */
export const ARGUMENT_TAGS: Markup = {
  name: ["", "\n"],
  key: ["<arg_key>", "</arg_key>"],
  value: ["<arg_value>", "</arg_value>"],
  end: "</tool_call>",
  hasLines: false,
};

const SPACE = /\s/;
/** A name, and an attribute behind it. */
const WITH_ATTRIBUTE = /^(.*?)"\s+(\w+)="(\w*)$/s;
const CDATA = "<![CDATA[";
const CDATA_END = "]]>";
const NAME_CHARS_MAX = 256;

type State = "before" | "name" | "between" | "key" | "gap" | "value";

/**
 * Type of an argument that was written so: "string", "integer", …, or a list of them; undefined:
 * not said.
 */
export type ArgumentTypes = (name: string, key: string, written: string) => unknown;

const NOTHING: CallProgress = { text: "", end: null };
const BAD: CallProgress = { text: "", end: "bad" };

export class MarkupCall {
  readonly #markup: Markup;
  readonly #typeOf: ArgumentTypes;
  #state: State;
  #name = "";
  #key = "";
  /** What the model says of the argument: whether it is a text. */
  #isText: boolean | undefined;
  /** What has come of a tag or a name. */
  #held = "";
  #value = "";
  #isCdata = false;
  /** As much of a value's end as its closing tag is long. */
  #tail = "";
  #count = 0;

  /** isBegun: what comes before a function's name is there already. */
  constructor(markup: Markup, typeOf: ArgumentTypes, { isBegun = false } = {}) {
    this.#markup = markup;
    this.#typeOf = typeOf;
    this.#state = isBegun || markup.name[0] === "" ? "name" : "before";
  }

  push(char: string): CallProgress {
    switch (this.#state) {
      case "before":
        return this.#tagChar(char, [this.#markup.name[0]], () => this.#go("name"));
      case "name":
        return this.#nameChar(char);
      case "between":
        return this.#tagChar(
          char,
          [this.#markup.key[0], this.#markup.end],
          (tag) => tag === this.#markup.end ? this.#end() : this.#go("key"),
        );
      case "key":
        return this.#keyChar(char);
      case "gap":
        return this.#tagChar(char, [this.#markup.value[0]], () => this.#go("value"));
      case "value":
        return this.#valueChar(char);
    }
  }

  #go(state: State): CallProgress {
    this.#state = state;
    this.#held = "";
    return NOTHING;
  }

  /** One of the tags, behind white space. */
  #tagChar(
    char: string,
    tags: readonly string[],
    then: (tag: string) => CallProgress,
  ): CallProgress {
    if (this.#held === "" && SPACE.test(char)) return NOTHING;
    this.#held += char;
    const tag = tags.find((each) => each === this.#held);
    if (tag !== undefined) return then(tag);
    return tags.some((each) => each.startsWith(this.#held)) ? NOTHING : this.#giveUp();
  }

  #nameChar(char: string): CallProgress {
    const [before, behind] = this.#markup.name;
    if (this.#held === "" && SPACE.test(char)) return NOTHING;
    // A bare name may be followed by a tag at once.
    const isCut = before === "" && char === "<";
    if (!isCut) this.#held += char;
    if (!isCut && !this.#held.endsWith(behind)) {
      return this.#held.length > NAME_CHARS_MAX ? BAD : NOTHING;
    }
    const written = (isCut ? this.#held : this.#held.slice(0, -behind.length)).trim();
    const name = this.#markup.hasNumbers ? written.replace(WITH_ATTRIBUTE, "$1") : written;
    if (!/^[\w.:/-]+$/.test(name)) return BAD;
    this.#name = name;
    this.#go("between");
    if (isCut) this.#held = char;
    return { name, text: "", end: null };
  }

  #keyChar(char: string): CallProgress {
    const [, behind] = this.#markup.key;
    this.#held += char;
    if (!this.#held.endsWith(behind)) {
      return this.#held.length > NAME_CHARS_MAX ? this.#giveUp() : NOTHING;
    }
    const { type } = this.#markup;
    const written = this.#held.slice(0, -behind.length).trim();
    const [, key, name, said] = (type === undefined ? null : WITH_ATTRIBUTE.exec(written)) ?? [];
    this.#key = key ?? written;
    this.#isText = name === undefined || name !== type?.name ? undefined : said === type.text;
    this.#value = this.#tail = "";
    this.#isCdata = false;
    return this.#go(this.#markup.value[0] === "" ? "value" : "gap");
  }

  #valueChar(char: string): CallProgress {
    const [, close] = this.#markup.value;
    this.#value += char;
    if (this.#value.length === CDATA.length) {
      this.#isCdata = this.#markup.hasCdata === true && this.#value === CDATA;
    }
    const behind = this.#isCdata ? CDATA_END + close : close;
    this.#tail = (this.#tail + char).slice(-behind.length);
    if (this.#tail !== behind) return NOTHING;
    const written = this.#value.slice(this.#isCdata ? CDATA.length : 0, -behind.length);
    const value = this.#markup.hasLines ? written.replace(/^\n/, "").replace(/\n$/, "") : written;
    // The schema knows better; where it says nothing the model does.
    const said = this.#isText === undefined ? undefined : this.#isText ? "string" : "value";
    const json = jsonOf(value, this.#typeOf(this.#name, this.#key, value) ?? said);
    const text = `${this.#count++ === 0 ? "{" : ", "}${JSON.stringify(this.#key)}: ${json}`;
    this.#go("between");
    return { text, end: null };
  }

  #end(): CallProgress {
    return { text: this.#count === 0 ? "{}" : "}", end: "done" };
  }

  /** What was said of arguments stays JSON. */
  #giveUp(): CallProgress {
    return this.#name === "" ? BAD : { ...this.#end(), rest: this.#held };
  }
}

/** A text where that is what the schema says, or what is no JSON; else JSON as it was written. */
function jsonOf(written: string, type: unknown): string {
  const types = Array.isArray(type) ? type : [type];
  const isOpen = types.every((each) => each === undefined);
  const mayBeJson = isOpen ? /^\s*[[{]/.test(written) : types.some((each) => each !== "string");
  if (!mayBeJson) return JSON.stringify(written);
  const json = pythonWord(written.trim());
  try {
    const isText = typeof JSON.parse(json) === "string";
    // As it was written: a number has more digits than it would have afterwards.
    return isText && types.includes("string") ? JSON.stringify(written) : json;
  } catch {
    return JSON.stringify(written);
  }
}

function pythonWord(written: string): string {
  return { "True": "true", "False": "false", "None": "null" }[written] ?? written;
}
