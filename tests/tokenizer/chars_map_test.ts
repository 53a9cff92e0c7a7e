/** SentencePiece's table of characters, honest and hostile. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { CharsMap } from "../../src/tokenizer/chars_map.ts";
import { fuzzRuns, timed } from "../support/fuzz.ts";
import { Rng } from "../support/rng.ts";
import { charsMap } from "./encoder_vocab.ts";

const utf8 = new TextEncoder();

function replaced(map: CharsMap, text: string): [number, string] {
  const length = map.match(utf8.encode(text), 0);
  return [length, new TextDecoder().decode(map.replacements.subarray(map.begin, map.end))];
}

/** Units of a table, and replacements behind them. */
function table(units: readonly number[], replacements: string): Uint8Array {
  const texts = utf8.encode(replacements);
  const bytes = new Uint8Array(4 + 4 * units.length + texts.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 4 * units.length, true);
  units.forEach((unit, i) => view.setUint32(4 + 4 * i, unit, true));
  bytes.set(texts, 4 + 4 * units.length);
  return bytes;
}

Deno.test("match() finds the longest beginning and what replaces it", () => {
  const entries: [string, string][] = [["a", "x"], ["abc", "yy"], ["é", ""], ["日本", "z"]];
  const map = new CharsMap(charsMap(entries));
  assertEquals(replaced(map, "ab"), [1, "x"]);
  assertEquals(replaced(map, "abcd"), [3, "yy"]);
  assertEquals(replaced(map, "é"), [2, ""]);
  assertEquals(replaced(map, "日本"), [6, "z"]);
  assertEquals([map.match(utf8.encode("日"), 0), map.match(utf8.encode("\0"), 0)], [0, 0]);
});

Deno.test("match() agrees with a search among a thousand random beginnings", () => {
  const rng = new Rng(3);
  const word = () => Array.from({ length: 1 + rng.int(4) }, () => "aébc日"[rng.int(5)]).join("");
  const entries = new Map(Array.from({ length: 1000 }, () => [word(), word()]));
  const map = new CharsMap(charsMap([...entries]));
  for (let i = 0; i < 500; i++) {
    const text = word() + word();
    const longest = [...entries.keys()].filter((key) => text.startsWith(key))
      .reduce((a, b) => b.length > a.length ? b : a, "");
    const length = utf8.encode(longest).length;
    assertEquals(map.match(utf8.encode(text), 0), length, text);
    if (length > 0) assertEquals(replaced(map, text)[1], entries.get(longest));
  }
});

Deno.test("CharsMap refuses sizes that do not fit, and replacements no real table has", () => {
  const refuses = (bytes: Uint8Array, what: RegExp) => {
    const { message } = assertThrows(() => new CharsMap(bytes), ModelFormatError);
    assertEquals(what.test(message), true, message);
  };
  refuses(new Uint8Array(0), /its 0 bytes cannot hold 0/);
  refuses(new Uint8Array(3), /its 3 bytes cannot hold 0/);
  refuses(Uint8Array.of(0, 0, 0, 0), /its 4 bytes cannot hold 0/);
  refuses(Uint8Array.of(255, 255, 255, 255, 0), /cannot hold 4294967295/);
  refuses(table([0, 0], "abc"), /no end/);
  refuses(table([0], "a".repeat(257) + "\0"), /a replacement has 257 bytes/);
});

Deno.test("match() ends where a hostile table leads in circles or beyond its end", () => {
  // Every unit says it is the child of "a" and goes on to one that is: text is the only end.
  const circle = Array.from({ length: 256 }, () => 0x61 | 0x61 << 10);
  const map = new CharsMap(table(circle, "x\0"));
  const text = utf8.encode("a".repeat(100_000));
  timed(() => {
    for (let at = 0; at < text.length; at++) assertEquals(map.match(text, at), 0);
  }, "a circle");
  // No units; a base beyond the last; a replacement beyond the end.
  assertEquals(new CharsMap(table([], "x\0")).match(text, 0), 0);
  assertEquals(new CharsMap(table([0x3fffff << 10 | 0x200], "x\0")).match(text, 0), 0);
  const beyond = new Array(256).fill(0);
  [beyond[0], beyond[0x60], beyond[0x61]] = [1 << 10, 0x61 | 0x100 | 1 << 10, 0x80000099];
  assertEquals(new CharsMap(table(beyond, "x\0")).match(text, 0), 0);
  beyond[0x61] = 0x80000000;
  assertEquals(new CharsMap(table(beyond, "x\0")).match(text, 0), 1);
});

Deno.test("match() reads bases that are shifted by 8", () => {
  const units = new Array(1024).fill(0);
  units[0] = 0x200 | 1 << 10;
  [units[256 ^ 0x61], units[512 ^ 256 ^ 0x61]] = [0x61 | 0x100 | 0x200 | 2 << 10, 0x80000002];
  assertEquals(replaced(new CharsMap(table(units, "x\0y\0")), "ab"), [1, "y"]);
});

Deno.test("match() survives tables of random units", () => {
  const rng = new Rng(9);
  for (let run = 0; run < fuzzRuns(200).numRuns; run++) {
    const units = Array.from({ length: 1 + rng.int(600) }, () => {
      return rng.int(3) === 0
        ? rng.u32()
        : (rng.int(4) | 0x60 | rng.int(512) << 10 | rng.int(2) << 8) >>> 0;
    });
    const map = new CharsMap(table(units, "ab\0c\0\0"));
    const text = Uint8Array.from({ length: 64 }, () => 0x60 + rng.int(4));
    for (let at = 0; at < text.length; at++) {
      const length = map.match(text, at);
      assertEquals(length >= 0 && at + length <= text.length, true);
    }
  }
});
