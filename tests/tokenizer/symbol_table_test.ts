import { assertEquals, assertThrows } from "@std/assert";
import {
  EMPTY_HASH,
  extendHash,
  hashBytes,
  HashPowers,
  SymbolTable,
} from "../../src/tokenizer/symbol_table.ts";
import { Rng } from "../support/rng.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

Deno.test("SymbolTable keeps strings apart and finds the indexed ones", () => {
  const table = new SymbolTable(0);
  const texts = Array.from({ length: 3000 }, (_, i) => `symbol ${i}`);
  for (const text of texts) table.append(bytesOf(text));
  for (let id = 0; id < texts.length; id += 2) table.index(id);
  texts.forEach((text, id) => {
    const bytes = bytesOf(text);
    assertEquals(new TextDecoder().decode(table.bytesOf(id)), text);
    assertEquals(table.find(bytes, 0, bytes.length), id % 2 === 0 ? id : -1);
  });
  assertThrows(() => table.bytesOf(3000));
});

Deno.test("SymbolTable gives the first of equal strings and never the empty one", () => {
  const table = new SymbolTable(4);
  for (const text of ["", "x", "x"]) table.index(table.append(bytesOf(text)));
  assertEquals(table.find(bytesOf("x"), 0, 1), 1);
  assertEquals(table.find(bytesOf(""), 0, 0), -1);
});

Deno.test("intern() adds a string once", () => {
  const table = new SymbolTable(4);
  const bytes = bytesOf("abcab");
  assertEquals(table.intern(bytes, 0, 2), 0);
  assertEquals(table.intern(bytes, 2, 5), 1);
  assertEquals(table.intern(bytes, 3, 5), 0);
  assertEquals(table.count, 2);
});

Deno.test("tailHash() follows from the hashes of the whole and of the head", () => {
  const rng = new Rng(2);
  const bytes = Uint8Array.from({ length: 300 }, () => rng.int(256));
  const whole = hashBytes(bytes, 0, bytes.length);
  const powers = new HashPowers();
  let head = EMPTY_HASH;
  for (let at = 0; at <= bytes.length; at++) {
    const tail = hashBytes(bytes, at, bytes.length);
    assertEquals(powers.tailHash(whole, head, bytes.length - at), tail);
    head = extendHash(head, bytes[at]);
  }
});
