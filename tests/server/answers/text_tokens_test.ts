import { assertEquals } from "@std/assert";
import { TextTokens } from "../../../src/server/answers/text_tokens.ts";

const TOKENS = ["<mark>", "final", "One", " tw", "o", "\xf0\x9f", "\x98\x80"];
/** Bytes by number; the first one is a control token. */
const bytesOf = (id: number) =>
  id === 0 ? new Uint8Array(0) : Uint8Array.from(TOKENS[id], (char) => char.charCodeAt(0));
const tokens = (...ids: number[]) => ids.map((id) => ({ id, logprob: -1, top: [] }));
const text = (text: string) => ({ kind: "text", text }) as const;

Deno.test("TextTokens leaves out what marks a text", () => {
  const told = new TextTokens(bytesOf);
  for (const id of [0, 1, 0]) assertEquals(told.push(tokens(id), []), []);
  assertEquals(told.push(tokens(2), [text("One")]), tokens(2));
  assertEquals(told.push(tokens(3, 0, 4), [text(" two")]), tokens(3, 4));
});

Deno.test("TextTokens keeps tokens until it is known whether they are text", () => {
  const told = new TextTokens(bytesOf);
  assertEquals(told.push(tokens(3), []), []);
  assertEquals(told.push(tokens(4), [text(" two")]), tokens(3, 4));
  assertEquals(told.push(tokens(2), []), []);
  assertEquals(told.push([], [{ kind: "reasoning", text: "One" }]), []);
  assertEquals(told.push([], [text("One")]), []);
});

Deno.test("TextTokens knows the tokens that a character is made of, and white space left out", () => {
  const told = new TextTokens(bytesOf);
  assertEquals(told.push(tokens(5), []), []);
  assertEquals(told.push(tokens(6), [text("\u{1f600}")]), tokens(5, 6));
  assertEquals(told.push(tokens(1, 3), [text("tw")]), tokens(3));
  assertEquals(told.push(tokens(1, 2), [text("\n\nOne")]), tokens(2));
});

Deno.test("TextTokens leaves out tokens of a stop string, but not one that begins before it", () => {
  const told = new TextTokens(bytesOf);
  assertEquals(told.push(tokens(2), [text("One")], [text("O")]), tokens(2));
  assertEquals(told.push(tokens(3), [text(" tw")], [text("ne")]), []);
  assertEquals(told.push(tokens(4), [text("o")], [text(" tw")]), tokens(3));
  const cut = new TextTokens(bytesOf);
  assertEquals(cut.push(tokens(0, 2, 3, 4), [text("One two")], [text("One ")]), tokens(2, 3));
  assertEquals(cut.push([], [], []), []);
});
