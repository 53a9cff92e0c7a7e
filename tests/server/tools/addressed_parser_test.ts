import { assertEquals } from "@std/assert";
import { capabilitiesOf } from "../../../src/server/anthropic/capabilities.ts";
import {
  addressedMarksOf,
  AddressedParser,
  type AddressedParserOptions,
} from "../../../src/server/tools/addressed_parser.ts";
import { museModel } from "../../support/muse.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";

const MODEL = new ScriptedModel(museModel(""));
const MARKS = addressedMarksOf(MODEL)!;

/** What pieces bring, a mark by its text: each delta's kind and text, the end's behind "|". */
function parse(pieces: readonly string[], options: Partial<AddressedParserOptions> = {}) {
  const parser = new AddressedParser({ marks: MARKS, ...options });
  const written = (deltas: ReturnType<typeof parser.push>) =>
    deltas.map((each) => "text" in each ? `${each.kind}:${each.text}` : each.kind);
  const out = pieces.flatMap((piece) => {
    const ids = piece.startsWith("<|") ? MODEL.encodeText(piece, { special: true }) : [1];
    return written(parser.push(piece.startsWith("<|") ? "" : piece, ids));
  });
  return [...out, "|", ...written(parser.end())];
}

Deno.test("AddressedParser says text at once where the prompt has opened it", () => {
  assertEquals(parse(["Hi"], { isOpened: true }), ["text:Hi", "|"]);
  assertEquals(parse([" to=us", "er"]), ["|", "text: to=user"]);
});

Deno.test("AddressedParser takes a head that no message follows for text, once", () => {
  assertEquals(parse(["Hi", "<|eot|>"]), ["text:Hi", "|"]);
  assertEquals(parse([" to=user", "<|message|>", "Hi", "<|eom|>", "<|start|>", "assistant"]), [
    "text:Hi",
    "|",
  ]);
  const long = "x".repeat(1025);
  assertEquals(parse([long, "y"]), [`text:${long}`, "text:y", "|"]);
});

Deno.test("AddressedParser hears no second beginning of a message", () => {
  assertEquals(parse([" to=self", "<|message|>", "a", "<|message|>", "b"]), [
    "reasoning:a",
    "reasoning:b",
    "|",
  ]);
});

Deno.test("AddressedParser says thoughts as text where that is wanted", () => {
  assertEquals(parse([" to=self", "<|message|>", "a"], { rawThoughts: true }), ["text:a", "|"]);
});

Deno.test("AddressedParser ends who reads what is no thought", () => {
  const answer = {
    ...{ callCount: 2, push: () => [] },
    end: () => [{ kind: "text", text: "end" } as const],
  };
  assertEquals(parse(["<|message|>", "a"], { answer }), ["|", "text:end"]);
  assertEquals(new AddressedParser({ marks: MARKS, answer }).callCount, 2);
});

Deno.test("a model of such messages thinks, and needs marks that are no text", () => {
  const details = { ...MODEL.details, uses: ["writing"] } as Parameters<typeof capabilitiesOf>[0];
  assertEquals(capabilitiesOf(details)?.effort.supported, true);
  const spelt = new ScriptedModel({ details: MODEL.details });
  assertEquals(addressedMarksOf(spelt), null);
  const other = { chatTemplate: "<|start|><|message|><|eom|><|eot|>" };
  assertEquals(addressedMarksOf(new ScriptedModel({ ...museModel(""), details: other })), null);
});
