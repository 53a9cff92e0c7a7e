import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import {
  getBoolean,
  getNumber,
  getNumbers,
  getString,
  getStrings,
  type GgufValue,
  packStrings,
} from "../../src/gguf/mod.ts";

const VALUES = new Map<string, GgufValue>([
  ["text", "t"],
  ["empty", ""],
  ["number", 0],
  ["large", 2n ** 60n],
  ["flag", false],
  ["numbers", new Int32Array([1, -2])],
  ["bigints", new BigUint64Array(1)],
  ["strings", packStrings(["a", "b"])],
  ["flags", [true]],
]);

Deno.test("the getters return what is there, falsy values too", () => {
  assertEquals(getString(VALUES, "text"), "t");
  assertEquals(getString(VALUES, "empty", "fallback"), "");
  assertEquals(getNumber(VALUES, "number", 7), 0);
  assertEquals(getBoolean(VALUES, "flag", true), false);
  assertEquals([...getNumbers(VALUES, "numbers")], [1, -2]);
  assertEquals([...getStrings(VALUES, "strings")], ["a", "b"]);
});

Deno.test("the getters return the fallback for a key that is not there", () => {
  assertEquals(getString(VALUES, "no", "x"), "x");
  assertEquals(getNumber(VALUES, "no", 0), 0);
  assertEquals(getBoolean(VALUES, "no", false), false);
  assertEquals(getNumbers(VALUES, "no", new Uint8Array(2)).length, 2);
  assertEquals(getStrings(VALUES, "no", packStrings([])).length, 0);
});

Deno.test("the getters name the key that is missing", () => {
  for (const get of [getString, getNumber, getBoolean, getNumbers, getStrings]) {
    assertThrows(() => get(VALUES, "no"), ModelFormatError, 'metadata "no": it is missing');
  }
});

Deno.test("the getters say what they found instead, also when there is a fallback", () => {
  const wrong: [() => unknown, string][] = [
    [() => getString(VALUES, "number", ""), '"number": it is a number, not a string'],
    [() => getNumber(VALUES, "text", 1), '"text": it is a string, not a number'],
    [() => getNumber(VALUES, "large"), "it is an integer beyond 53 bits, not a number"],
    [() => getNumber(VALUES, "flag"), "it is a boolean, not a number"],
    [() => getBoolean(VALUES, "number"), "it is a number, not a boolean"],
    [() => getNumbers(VALUES, "strings"), "it is an array of strings, not an array of numbers"],
    [() => getNumbers(VALUES, "bigints"), "it is an array of 64-bit integers, not"],
    [() => getNumbers(VALUES, "flags"), "it is an array, not an array of numbers"],
    [() => getStrings(VALUES, "numbers"), "it is an array of numbers, not an array of strings"],
    [() => getStrings(VALUES, "text"), "it is a string, not an array of strings"],
  ];
  for (const [get, says] of wrong) assertThrows(get, ModelFormatError, says);
});
