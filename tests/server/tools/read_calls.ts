/** Functions, and what answers of models that may call them are read as, for tests. */
import { assertEquals } from "@std/assert";
import type { Delta } from "../../../src/server/tools/answer_parser.ts";
import { controlsOf } from "../../../src/server/tools/call_format.ts";
import { thoughtMarksOf, ThoughtParser } from "../../../src/server/tools/thought_parser.ts";
import { planTools, type ToolRequest } from "../../../src/server/tools/tool_plan.ts";
import {
  CALL_CONTROLS,
  CALL_TEMPLATES,
  type NativeModel,
  nativeModel,
} from "../../support/native_calls.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";

export const messages = [{ role: "user", content: "Hi" }];
export const f = {
  name: "f",
  parameters: {
    type: "object",
    properties: { a: { type: "integer" }, s: { type: "string" } },
    required: ["a"],
  },
};
const functions = [f, { name: "ns/g.h" }];
export const auto: ToolRequest = { functions, mode: "auto", isParallel: true };
export const required: ToolRequest = { ...auto, mode: "required" };
export const strict: ToolRequest = { ...auto, functions: [{ ...f, strict: true }, functions[1]] };
export const controls = Object.keys(CALL_CONTROLS);
export const plain = (name: NativeModel) =>
  new ScriptedModel({ details: { chatTemplate: CALL_TEMPLATES[name] } });
export const native = (name: NativeModel) => new ScriptedModel(nativeModel(name, ""));

export interface Read {
  readonly thoughts?: string;
  readonly text: string;
  readonly calls: readonly (readonly [name: string, json: string])[];
}

/** What `pieces` are read as; a piece that is a control token's name comes as its id. */
export function read(model: ScriptedModel, pieces: readonly string[], request = auto): Read {
  const { newParser, callMark } = planTools(model, messages, request);
  const marks = thoughtMarksOf(model.details.chatTemplate!);
  const answer = newParser!();
  const thinks = marks && { marks, controls: controlsOf(model, [marks.open, marks.close]) };
  const parser = thinks
    ? new ThoughtParser({ ...thinks, isOpened: false, answer, callMark })
    : answer;
  const idOf = (piece: string) => model.encodeText(piece, { special: true })[0];
  const push = (piece: string): Delta[] =>
    controls.includes(piece) ? parser.push("", [idOf(piece)]) : parser.push(piece, [1]);
  const out = { thoughts: "", text: "", calls: [] as [string, string][] };
  for (const delta of [...pieces.flatMap(push), ...parser.end()]) {
    if (delta.kind === "text") out.text += delta.text;
    else if (delta.kind === "reasoning") out.thoughts += delta.text;
    else if (delta.kind === "call") out.calls[delta.call] = [delta.name, ""];
    else out.calls[delta.call][1] += delta.text;
  }
  assertEquals(parser.callCount, out.calls.length);
  return out;
}

/** The same however it is cut, and whether marks are control tokens or texts. */
export function assertRead(name: NativeModel, written: string, expected: Read): void {
  const whole = { thoughts: "", ...expected };
  assertEquals(read(plain(name), [written]), whole, written);
  assertEquals(read(plain(name), [...written]), whole, written);
  const cut = new RegExp(`(${controls.map(RegExp.escape).join("|")})`);
  const parts = written.split(cut).filter((part) => part !== "");
  assertEquals(read(native(name), parts), whole, written);
  const chars = parts.flatMap((part) => controls.includes(part) ? [part] : [...part]);
  assertEquals(read(native(name), chars), whole, written);
}

/** The same for a model of this template, whose marks are texts. */
export function assertReadBy(chatTemplate: string, written: string, expected: Read): void {
  const model = new ScriptedModel({ details: { chatTemplate } });
  const whole = { thoughts: "", ...expected };
  assertEquals(read(model, [written]), whole, written);
  assertEquals(read(model, [...written]), whole, written);
}
