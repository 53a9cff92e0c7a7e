/**
 * JSON as rules, added to a book when they are first used. What a model could go on with for ever
 * (white space, digits) is bounded; strings hold whole characters only.
 */
import { type CodePoints, codePoints, common, hasCodePoint, without } from "./code_points.ts";
import {
  between,
  choice,
  type Expression,
  nothing,
  oneOf,
  optional,
  ref,
  repeat,
  type RuleBook,
  sequence,
  text,
  words,
} from "./expression.ts";

/** Most blanks of a line's indentation. */
const INDENT_MAX = 20;
/** Digits of a number's whole part and of its fraction: more say nothing. */
const DIGITS_MAX = 20;

/** Characters that a string may hold as they are. */
const PLAIN_CHARACTERS: CodePoints = without(codePoints([0, 0x1f, 0x22, 0x22, 0x5c, 0x5c]));
/** Of the others, those that have a short escape. */
const SHORT_ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x22, '\\"'],
  [0x5c, "\\\\"],
  [0x08, "\\b"],
  [0x0c, "\\f"],
  [0x0a, "\\n"],
  [0x0d, "\\r"],
  [0x09, "\\t"],
]);

/** Work that is left for the automata of a grammar (schema/languages.ts). */
export interface WorkBudget {
  left: number;
}

/** One and a half times what one of them may take: less than half a second. */
const AUTOMATA_WORK_MAX = 600_000;

export class JsonRules {
  readonly book: RuleBook;
  readonly automata: WorkBudget = { left: AUTOMATA_WORK_MAX };
  /** By set: patterns have the same few characters again and again. */
  readonly #characters = new Map<string, Expression>();
  readonly #rules = new Map<string, number>();

  constructor(book: RuleBook) {
    this.book = book;
  }

  /** A rule that is made once. */
  once(name: string, make: () => Expression): Expression {
    let rule = this.#rules.get(name);
    if (rule === undefined) {
      rule = this.book.add(name);
      this.#rules.set(name, rule);
      this.book.define(rule, make());
    }
    return ref(rule);
  }

  /** Small ones as they are, larger ones as a rule of their own. */
  shared(name: string, body: Expression): Expression {
    if (body.size <= 8) return body;
    const rule = this.book.add(name);
    this.book.define(rule, body);
    return ref(rule);
  }

  /** Nothing, a space, or the beginning of an indented line. */
  get space(): Expression {
    return this.once("space", () =>
      choice(
        nothing(),
        text(" "),
        sequence(text("\n"), repeat(between("  \t\t"), 0, INDENT_MAX)),
      ));
  }

  get value(): Expression {
    return this.once(
      "value",
      () => choice(this.object, this.array, this.string, this.number, this.boolean, this.null),
    );
  }

  get object(): Expression {
    return this.once("object", () => {
      const member = this.shared("member", this.member(this.string, this.value));
      const more = repeat(sequence(text(","), this.space, member), 0, Infinity);
      return sequence(text("{"), this.space, optional(sequence(member, more)), text("}"));
    });
  }

  get array(): Expression {
    return this.once("array", () => {
      const item = sequence(this.value, this.space);
      const more = repeat(sequence(text(","), this.space, item), 0, Infinity);
      return sequence(text("["), this.space, optional(sequence(item, more)), text("]"));
    });
  }

  /** A name and what it names, with the white space behind it. */
  member(name: Expression, value: Expression): Expression {
    return sequence(name, text(":"), optional(text(" ")), value, this.space);
  }

  get boolean(): Expression {
    return words(["true", "false"]);
  }

  get null(): Expression {
    return text("null");
  }

  get string(): Expression {
    return this.once("string", () => this.stringOf(0, Infinity));
  }

  /** A string of `min` to `max` characters, of any kind. */
  stringOf(min: number, max: number): Expression {
    return sequence(text('"'), repeat(this.character, min, max), text('"'));
  }

  /** One character of a string, as it is or escaped. */
  get character(): Expression {
    return this.once("character", () => {
      const hex = between("09afAF");
      const shorts = [...'"\\/bfnrt'].map((each) => `\\${each}`);
      const high = sequence(between("ddDD"), between("89abAB"), hex, hex);
      const low = sequence(between("ddDD"), between("cfCF"), hex, hex);
      const other = choice(
        sequence(between("09acefACEF"), hex, hex, hex),
        sequence(between("ddDD"), between("07"), hex, hex),
      );
      return choice(
        oneOf(PLAIN_CHARACTERS),
        words(shorts),
        sequence(text("\\u"), choice(other, sequence(high, text("\\u"), low))),
      );
    });
  }

  /** A character of the set as a string holds it, escaped in one way where it must be. */
  characterOf(set: CodePoints): Expression {
    const key = set.join();
    let made = this.#characters.get(key);
    if (made === undefined) this.#characters.set(key, made = this.#makeCharacter(set));
    return made;
  }

  #makeCharacter(set: CodePoints): Expression {
    const plain = common(set, PLAIN_CHARACTERS);
    const escapes: string[] = [];
    for (let point = 0; point <= 0x5c; point++) {
      if (hasCodePoint(PLAIN_CHARACTERS, point) || !hasCodePoint(set, point)) continue;
      const long = `\\u${point.toString(16).padStart(4, "0")}`;
      escapes.push(SHORT_ESCAPES.get(point) ?? long);
    }
    return escapes.length === 0 ? oneOf(plain) : choice(oneOf(plain), words(escapes));
  }

  /** A string that is none of `names`; it has no escapes, by which it could be one of them. */
  stringExcept(names: readonly string[]): Expression {
    interface Node {
      readonly children: Map<number, Node>;
      isName: boolean;
    }
    const root: Node = { children: new Map(), isName: false };
    for (const name of names) {
      let node = root;
      for (const char of name) {
        const point = char.codePointAt(0)!;
        let child = node.children.get(point);
        if (child === undefined) {
          child = { children: new Map(), isName: false };
          node.children.set(point, child);
        }
        node = child;
      }
      node.isName = true;
    }
    const rest = this.once(
      "rest of a name",
      () => sequence(repeat(oneOf(PLAIN_CHARACTERS), 0, Infinity), text('"')),
    );
    // Rules instead of recursion: names may be long.
    const rules = new Map<Node, number>();
    const ruleOf = (node: Node) => {
      let rule = rules.get(node);
      if (rule === undefined) rules.set(node, rule = this.book.add("another name"));
      return ref(rule);
    };
    const first = ruleOf(root);
    for (const [node, rule] of rules) {
      const others = without(codePoints([...node.children.keys()].flatMap((each) => [each, each])));
      const parts = [sequence(oneOf(common(PLAIN_CHARACTERS, others)), rest)];
      for (const [point, child] of node.children) {
        if (!hasCodePoint(PLAIN_CHARACTERS, point)) continue; // such a name needs an escape
        parts.push(sequence(oneOf([point, point]), ruleOf(child)));
      }
      if (!node.isName) parts.push(text('"'));
      this.book.define(rule, choice(...parts));
    }
    return sequence(text('"'), first);
  }

  get integer(): Expression {
    return this.once("integer", () =>
      sequence(
        optional(text("-")),
        choice(text("0"), sequence(between("19"), repeat(between("09"), 0, DIGITS_MAX - 1))),
      ));
  }

  get number(): Expression {
    return this.once("number", () => {
      const digit = between("09");
      const sign = choice(nothing(), text("+"), text("-"));
      return sequence(
        this.integer,
        optional(sequence(text("."), repeat(digit, 1, DIGITS_MAX))),
        // At most 10^99: every number is finite.
        optional(sequence(words(["e", "E"]), sign, repeat(digit, 1, 2))),
      );
    });
  }
}
