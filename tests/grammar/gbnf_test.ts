import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { compileGrammar } from "../../src/grammar/mod.ts";
import { gbnf, judge } from "./tiny.ts";

/** [grammar, sentences, beginnings, others] */
const TABLE: [string, string[], string[], string[]][] = [
  ['root ::= "ab"', ["ab"], ["", "a"], ["b", "abc"]],
  ['root ::= "a" | "bc" | "bd"', ["a", "bc", "bd"], ["b"], ["c", "ab"]],
  ['root ::= ("a" | "b")+ "c"', ["ac", "babc"], ["", "ab"], ["c"]],
  ['root ::= "a"* "b"? ', ["", "a", "aaab", "b"], [], ["bb", "ba"]],
  ['root ::= "a"{2}', ["aa"], ["a"], ["aaa"]],
  ['root ::= "a"{2,}', ["aa", "aaaaaa"], ["a"], ["b"]],
  ['root ::= "a"{1,3}', ["a", "aaa"], [""], ["aaaa"]],
  ['root ::= "a"{0,2}"b"', ["b", "aab"], ["a"], ["aaab"]],
  ['root ::= ("ab"){100} "!"', [`${"ab".repeat(100)}!`], ["abab"], [`${"ab".repeat(99)}!`]],
  ['root ::= ("ab" | "c"){90,100}', ["c".repeat(90), "ab".repeat(100)], ["c"], ["c".repeat(101)]],
  ["root ::= [a-cx]", ["a", "b", "c", "x"], [""], ["d", "-"]],
  ["root ::= [^a-c]", ["d", "é", "😀"], [""], ["a", "b"]],
  ["root ::= [a-]", ["a", "-"], [""], ["b"]],
  ["root ::= [\\]\\\\\\n\\t]", ["]", "\\", "\n", "\t"], [], ["n"]],
  ['root ::= "\\x41\\u00e9\\U0001F600"', ["Aé😀"], ["A"], ["Ae"]],
  ["root ::= [\\u3041-\\u309f]+", ["ぁゟ"], [""], ["a", "㿀"]],
  ["root ::= .", ["a", "é", "\n", "😀"], [""], ["ab"]],
  ['root ::= a b\na ::= [0-9]\nb ::= a a | "x"', ["1x", "123"], ["12"], ["x"]],
  ['root ::= "(" root ")" | "x"', ["x", "((x))"], ["(("], ["()"]],
  ['root ::= "a" root | ""', ["", "aaaa"], [], ["b"]],
  ['root ::= ("a" "b"?)* "c"', ["c", "aabc"], ["ab"], ["bc"]],
  ['# first\nroot ::= # why\n  "a" | # two\n  "b"\n', ["a", "b"], [], ["c"]],
  ['root ::= "a"\n  | "b"\nx ::= "c"', ["a", "b"], [], ["c"]],
  ['root ::= (\n  "a"\n  "b"\n)\n', ["ab"], ["a"], []],
  ['a-B_1 ::= "x"\nroot ::= a-B_1 a-B_1', ["xx"], ["x"], []],
  ['root ::= ("a"?)* "b"', ["b", "aab"], ["a"], []],
  ['root ::= ""', [""], [], ["a"]],
  ['root ::= "a"{0} "b"', ["b"], [""], ["a"]],
  ['root ::= "é"', ["é"], [], ["e"]],
];

Deno.test("parseGbnf() reads the language of llama.cpp's grammars", () => {
  for (const [text, sentences, beginnings, others] of TABLE) {
    for (const each of sentences) assertEquals(judge(gbnf(text), each), "yes", `${text}: ${each}`);
    for (const each of beginnings) {
      assertEquals(judge(gbnf(text), each), "begun", `${text}: ${each}`);
    }
    for (const each of others) assertEquals(judge(gbnf(text), each), "no", `${text}: ${each}`);
  }
});

Deno.test("parseGbnf() refuses what is no grammar, with line and column", () => {
  const wrong: [string, string][] = [
    ["", '"root" is used and not defined'],
    ['x ::= "a"', '"root" is used and not defined'],
    ["root ::= x", '"x" is used and not defined'],
    ['root ::= "a', 'line 1, column 10: the closing "'],
    ["root ::= [a", 'the closing "]" is missing'],
    ['root ::= ("a"', '")" is missing'],
    ['root ::= "a")', '")" is not expected'],
    ['root = "a"', '"::=" is missing'],
    ['root ::= "a"\nroot ::= "b"', 'line 2, column 10: rule "root" is defined twice'],
    ["root ::= *", '"*" is not expected'],
    ['root ::= "a"{3,2}', "more often than it may"],
    ['root ::= "a"{x}', "{m}, {m,} or {m,n}"],
    ['root ::= "a"{9999999999}', "repetitions are due"],
    ['root ::= "a"********** ', "more than 8 times"],
    ["root ::= [z-a]", "runs backwards"],
    ['root ::= "\\q"', "\\q means nothing"],
    ['root ::= "\\ud800"', "U+d800 is no character"],
    ["root ::= <think>", "tokens"],
    ['root ::= root "a" | "b"', "can begin with itself"],
    ['root ::= a "x"\na ::= b\nb ::= "c"? root | "z"', "can begin with itself"],
    ["root ::= root", "no text fits it"],
    ['root ::= "a" root', "no text fits it"],
    ["root ::= []", "no text fits it"],
    ['root ::= ("a"?){2,1000}', "that may be empty"],
    ['root ::= ("a"{1,900} "b"? ){5000}\n? ', "a rule's name is missing"],
  ];
  for (const [text, message] of wrong) {
    const error = assertThrows(() => compileGrammar(gbnf(text)), RequestError, message, text);
    assertEquals([error.status, error.param, error.code], [400, "grammar", "invalid_grammar"]);
  }
});

Deno.test("compileGrammar() refuses hostile grammars quickly", () => {
  const deep = (n: number) => `root ::= ${"(".repeat(n)}"a"${")".repeat(n)}`;
  const chain = Array.from({ length: 30 }, (_, i) => `r${i} ::= r${i + 1} | r${i + 1} "x"`);
  const hostile: [string, string][] = [
    [deep(60_000), "nested deeper than 128"],
    [`root ::= ${"a".repeat(2 << 20)}`, "longer than"],
    [Array.from({ length: 30_000 }, (_, i) => `r${i} ::= "a"`).join("\n"), "20000 rules"],
    [`root ::= ${"[^a]{8} ".repeat(60_000)}`, "200000 states"],
    [`root ::= ${'((((((((("a"{4}){4}){4}){4}){4}){4}){4}){4}){4}){4}'}`, ""],
    [`root ::= r0\n${chain.join("\n")}\nr30 ::= "y"`, "too many ways"],
    ['root ::= ("a"?)*'.padEnd(400_000, "*"), "more than 8 times"],
    [`root ::= ${'"a" | '.repeat(100_000)}"b"`, ""],
  ];
  for (const [text, message] of hostile) {
    const start = performance.now();
    const compile = () => compileGrammar(gbnf(text));
    if (message === "") tolerate(compile);
    else assertThrows(compile, RequestError, message, text.slice(0, 60));
    assertEquals(performance.now() - start < 2000, true, `${text.slice(0, 60)} took too long`);
  }
});

Deno.test("compileGrammar() takes groups as deep as the limit, and rules in any number below it", () => {
  assertEquals(judge(gbnf(`root ::= ${"(".repeat(128)}"a"${")".repeat(128)}`), "a"), "yes");
  const rules = Array.from({ length: 10_000 }, (_, i) => `r${i} ::= "a" r${i + 1}`);
  const text = `root ::= r0\n${rules.join("\n")}\nr10000 ::= "b"`;
  assertEquals(judge(gbnf(text), `${"a".repeat(10_000)}b`), "yes");
});

/** A grammar that may be too large, but nothing else. */
function tolerate(compile: () => void): void {
  try {
    compile();
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
  }
}
