import { assertEquals, assertThrows } from "@std/assert";
import {
  bool,
  encodeGguf,
  f32,
  list,
  parseGguf,
  storedMetadata,
  type StoredValue,
  text,
  u32,
} from "../../src/gguf/mod.ts";

Deno.test("storedMetadata() gives back the entries a file was written from", () => {
  const metadata = [
    ["a", u32(3)],
    ["b", f32(3)],
    ["c", bool(false)],
    ["d", text("3")],
    ["e", list(new Int8Array([3]))],
    ["f", { type: "u8", value: 3 }],
  ] as const;
  assertEquals(storedMetadata(parseGguf(encodeGguf({ metadata, tensors: [] }))), [...metadata]);
});

Deno.test("storedMetadata() refuses values without or against their type as bugs", () => {
  const file = parseGguf(encodeGguf({ metadata: [["k", u32(1)]], tensors: [] }));
  const none = { ...file, metadataTypes: new Map() };
  assertThrows(() => storedMetadata(none), Error, 'metadata "k" has no type');
  const wrongScalar = { ...file, metadataTypes: new Map([["k", "array" as const]]) };
  assertThrows(() => storedMetadata(wrongScalar), Error, "an array's value is an array");
  const wrongArray = { ...file, metadata: new Map([["k", new Uint8Array(1)]]) };
  assertThrows(() => storedMetadata(wrongArray), Error, "a scalar's value is no array");
});

Deno.test("encodeGguf() refuses values that their type cannot hold as bugs", () => {
  const encode = (stored: StoredValue) => encodeGguf({ metadata: [["k", stored]], tensors: [] });
  assertThrows(() => encode({ type: "u32", value: "3" }), Error, "a u32 is no string");
  const clamped = new Uint8ClampedArray(1) as unknown as Uint8Array;
  assertThrows(() => encode(list(clamped)), Error, "Uint8ClampedArray have no GGUF type");
});
