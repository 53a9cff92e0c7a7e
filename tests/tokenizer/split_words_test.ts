import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { PRE_TOKENIZER_NAMES, splitWords } from "../../src/tokenizer/mod.ts";
import { fuzzRuns } from "../support/fuzz.ts";

/** Cuts derived by hand from each family's rules; "|" stands where a word ends. */
const CUTS: Record<string, readonly string[]> = {
  "gpt-2": [
    "Hello|,| y|'|all|!| I|'ve| '|RE|?",
    "a|  | b|\n|\n|c| 1234|.|5|  ",
    "x| |\n|y|\u0085|z|\ufeff|w",
  ],
  "smollm": ["a| |1|2|3|4|b|'s|  | c", "½|²|x"],
  "starcoder": ["w|0|4|8| |7|tuijk"],
  "falcon": ["say|:<=| |123|456|7| x|.", "123|456", "it|'|s", "a| | b| |$=|5", "x|=\x60|y"],
  "default": ["a|...|b| |123|45", "x|=|\x60|y"],
  "llama-bpe": [
    "Hello|,| y|'all|!\n\n|I|'VE| |123|456|7",
    "\thello|  | world|   \n\n|  | x",
    "(foo|)\r\n|bar| ?!\n",
    "a|\n \n|b",
  ],
  "qwen2": ["a| |1|2|3|!?\n|'S|x", "3|.|1|4"],
  "stablelm2": ["7|8| y"],
  "dbrx": ["123|4"],
  "gpt-4o": ["Hello|World's| it'S| ABCdef|GHI", "a|/b| //\n/|x", "don't| |123|4|."],
  "tekken": ["Hello|World|'s| |1|2|HTTPServer"],
  "deepseek-llm": [
    "Hello|,| world|!| |123|\n|x|  ",
    "我想在|apple|工作|1314",
    "a| |\n| b|  | c",
  ],
  "deepseek-coder": ["if| (|x|==|1|2|)|\n|  | y", "我想|,| ok"],
  "deepseek-v3": ["Hello| world|123|4|我想カナ|!?| #|foo", "x|#foo|\n\n| y"],
  "kimi-k2": [
    "Hello|World's| it|中文|ABCdef|我々|x| |中|!?\n\n|b",
    "don'T| |123|4|.| ひらがな|漢字|e\u0301a| a|\n \n| b",
    "Hello|World|我想|ab|123|4|!!\n|カナ|我",
    "don't| x|  | y",
  ],
  "qwen35": ["e\u0301a| x|1|2"],
  "seed-coder": ["a| !!|\n\n|1|2"],
  "bailingmoe": ["a|!!\n\n| b", "x|\n\n|y"],
  "bloom": ["Hello|,| world|.| 12x", "a| | b"],
  "viking": ["Hello|,| |1|2|x"],
  "minicpm5": ["ab|123|4| it|'s", "½²٣|a"],
  "ufakzeka": ["Ankara|'nın| |1|2", "it|'s"],
  "laguna": ["a| !?|\n\n\n| b|1|2", "x|  |\n|  | y"],
  "spark2_5": [
    "Hello| world| |1|2|3|4|!?|\n|\n| #|foo| x|\n",
    "我想カナ| a| | b|  \n| c",
    "x|!!|\n|\n|\n| | y",
    "e\u0301a| |1|2| |3|\t|\tz|  ",
    "a| \r\n| b|\n| \n| c",
  ],
  "jais-2": ["a|    |  | b|  ", "x|        |  | y", "it|'s| |123|4"],
  "exaone-moe": ["Hello big world|,| it|'S|  | a b|1|2| !/\n|\n|x", "a|\n\n|b", "e\u0301 e|\n|x"],
  "youtu": ["한국|我想|。「|ㄅ|Hello|World's|1|2| //\n/|x"],
  "tiny_aya": ["a|1|234|567| b", "1|234|.|56|  |123", "123|4|ab| |12|_"],
  "superbpe": ["It's one word, |1|234|!\n and another"],
  "chameleon": [
    "Hello| world|!|!|  |x|    |  | y|\n|\n|1|2",
    "x|IMGIMGABZ|y|\t|IMGIMGABCDEZ|'|s|$|^|x|<|sentinel|:|1|2|>|y",
  ],
  "afmoe": ["ab|12|345|  |123|我想カナ|!?| #|foo", "𝟏|𝟐𝟑𝟒"],
};

for (const [pre, cuts] of Object.entries(CUTS)) {
  Deno.test(`splitWords() cuts as ${pre} does`, () => {
    for (const cut of cuts) {
      const words = cut.split("|");
      assertEquals(splitWords(pre, words.join("")), words);
    }
  });
}

Deno.test("splitWords() gives names of one family the same words", () => {
  const text = "It's 12345 o'clock,\n\n  isn'T it?";
  assertEquals(splitWords("mpt", text), splitWords("gpt-2", text));
  assertEquals(splitWords("refact", text), splitWords("starcoder", text));
  assertEquals(splitWords("llama3", text), splitWords("dbrx", text));
  assertEquals(splitWords("deepseek-r1-qwen", text), splitWords("qwen2", text));
  assertEquals(splitWords("cohere2moe", text), splitWords("tiny_aya", text));
  assertEquals(splitWords("hy_v4", text), splitWords("deepseek-v3", text));
});

Deno.test("splitWords() loses and adds nothing", () => {
  const unit = fc.constantFrom(..."aZé我カ٣½  \t\r\n\u0085\ufeff'.!~$_<>|`😀\ud800\u0301");
  const text = fc.oneof(fc.array(unit).map((units) => units.join("")), fc.string());
  fc.assert(
    fc.property(text, fc.constantFrom(...PRE_TOKENIZER_NAMES), (text, pre) => {
      const words = splitWords(pre, text);
      assertEquals(words.join(""), text);
      assertEquals(words.includes(""), false);
    }),
    fuzzRuns(100),
  );
});

Deno.test("splitWords() takes linear time for many equal characters", () => {
  // What takes quadratic time here runs for hours.
  for (const filling of [" ", "a", "A", "3", "\n", "!", "我", "\u0301", "'", " \n", "aB", "\t "]) {
    const text = filling.repeat(200_000 / filling.length) + "1";
    for (const pre of Object.keys(CUTS)) assertEquals(splitWords(pre, text).join(""), text);
  }
});

Deno.test("splitWords() cuts text of any length, between words if it can", () => {
  const sentence = "the cat sat ";
  const text = sentence.repeat(3_000_000 / sentence.length);
  assertEquals(splitWords("gpt-2", text).length, 3 * (3_000_000 / sentence.length) + 1);
  const astral = "𝐀".repeat(3_000_000);
  assertEquals(splitWords("llama3", astral).every((word) => word.isWellFormed()), true);
});

Deno.test("splitWords() refuses an unknown pre-tokenizer by name and lists the known ones", () => {
  assertThrows(() => splitWords("gpt-99", "x"), UnsupportedModelError, '"gpt-99" is none of');
  assertThrows(() => splitWords("gpt-99", "x"), UnsupportedModelError, "qwen2");
});
