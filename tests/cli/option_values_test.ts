import { assertEquals, assertThrows } from "@std/assert";
import { InvalidArgumentError } from "commander";
import {
  ascendingShares,
  byteSize,
  byteSizeFrom,
  decimal,
  tokenIds,
  wholeNumber,
} from "../../src/cli/option_values.ts";

Deno.test("wholeNumber() takes whole numbers in its range and nothing else", () => {
  const parse = wholeNumber({ min: 1, max: 64 });
  assertEquals([parse("1"), parse(" 64 ")], [1, 64]);
  for (const bad of ["0", "65", "1.5", "1e1", "0x10", "", "two", "NaN"]) {
    assertThrows(() => parse(bad), InvalidArgumentError, "from 1 to 64", bad);
  }
});

Deno.test("decimal() takes finite numbers in its range and nothing else", () => {
  const parse = decimal({ min: 0, max: 1 });
  assertEquals([parse("0"), parse("0.95"), parse("1e-3")], [0, 0.95, 0.001]);
  for (const bad of ["-0.1", "1.1", "", " ", "NaN", "Infinity", "half"]) {
    assertThrows(() => parse(bad), InvalidArgumentError, "from 0 to 1", bad);
  }
});

Deno.test("ascendingShares() takes one share or several that ascend", () => {
  const parse = ascendingShares(4);
  assertEquals([parse("0.3"), parse("0.3, 0.5,0.5,1")], [[0.3], [0.3, 0.5, 0.5, 1]]);
  for (const bad of ["", "0.5,0.4", "0.1,0.2,0.3,0.4,0.5", "0.5,", "0.5,2", "-1", "NaN"]) {
    assertThrows(() => parse(bad), InvalidArgumentError, "needed", bad);
  }
});

Deno.test("byteSize() reads sizes with units", () => {
  assertEquals(byteSize("2GiB"), 2 ** 31);
  assertThrows(() => byteSize("2 apples"), InvalidArgumentError, "2GiB");
  assertEquals(byteSizeFrom(1024)("1KiB"), 1024);
  for (const small of ["0", "1023"]) {
    assertThrows(() => byteSizeFrom(1024)(small), InvalidArgumentError, "at least 1.0 KiB");
  }
});

Deno.test("tokenIds() reads a list of ids and refuses what is none", () => {
  assertEquals(tokenIds("1, 2,3"), [1, 2, 3]);
  assertEquals(tokenIds(""), []);
  for (const bad of ["1,,2", "1,-2", "1.5", "4294967296", "a", ","]) {
    assertThrows(() => tokenIds(bad), InvalidArgumentError, "Token ids", bad);
  }
});
