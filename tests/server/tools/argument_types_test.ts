import { assertEquals } from "@std/assert";
import { argumentTypes } from "../../../src/server/tools/argument_types.ts";
import { planTools } from "../../../src/server/tools/tool_plan.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";

/** Properties of a function, what was written for each, and the JSON that it is. */
const ARGUMENTS: readonly (readonly [schema: object, written: string, json: unknown])[] = [
  [{ enum: [1, 2] }, "2", 2],
  [{ enum: ["1", "2"] }, "2", "2"],
  [{ enum: ["1", 2, null] }, "1", "1"],
  [{ enum: ["1", 2, null] }, "2", 2],
  [{ enum: ["1", 2, null] }, "null", null],
  [{ enum: ["1", 2, null] }, "None", null],
  [{ enum: [true, "x"] }, "True", true],
  [{ enum: [[1], { a: 1 }] }, '{"a": 1}', { a: 1 }],
  [{ type: "integer", enum: [1, 2] }, "1", 1],
  [{ type: "string", enum: ["1"] }, "1", "1"],
  [{ const: 7 }, "7", 7],
  [{ const: "7" }, "7", "7"],
  [{ const: false }, "false", false],
  [{ anyOf: [{ enum: [1, 2] }, { type: "null" }] }, "2", 2],
  [{ oneOf: [{ const: "1" }, { const: 2 }] }, "1", "1"],
  [{ $ref: "#/$defs/Level" }, "3", 3],
  [{ allOf: [{ $ref: "#/$defs/Level" }] }, "3", 3],
  [{ anyOf: [{ $ref: "#/$defs/Level" }, { type: "null" }] }, "null", null],
  [{ $ref: "#/$defs/Circle" }, "3", "3"],
  [{ $ref: "#/$defs/constructor" }, "3", "3"],
  [{ $ref: "other.json" }, "3", "3"],
  [{ type: "string" }, "3", "3"],
  [{ type: ["string", "integer"] }, "3", 3],
  [{}, "3", "3"],
];
const parameters = {
  type: "object",
  properties: Object.fromEntries(ARGUMENTS.map(([schema], index) => [`p${index}`, schema])),
  $defs: { Level: { enum: [1, 2, 3] }, Circle: { $ref: "#/$defs/Circle" } },
};

Deno.test("arguments between tags are of the type that the schema, a list or a constant says", () => {
  const chatTemplate = "{% if tools %}<tool_call><function=f><parameter=k>{% endif %}";
  const model = new ScriptedModel({ details: { chatTemplate } });
  const functions = [{ name: "f", parameters }];
  const { newParser } = planTools(model, [], { functions, mode: "auto", isParallel: true });
  const tags = ARGUMENTS.map(([, written], i) => `<parameter=p${i}>\n${written}\n</parameter>`);
  const written = `<tool_call>\n<function=f>\n${tags.join("\n")}\n</function>\n</tool_call>`;
  const [, args] = newParser!().push(written);
  assertEquals(
    JSON.parse(args.kind === "arguments" ? args.text : ""),
    Object.fromEntries(ARGUMENTS.map(([, , json], index) => [`p${index}`, json])),
  );
});

Deno.test("argumentTypes() says nothing of arguments that no schema knows", () => {
  assertEquals(argumentTypes(undefined, "a", "1"), undefined);
  assertEquals(argumentTypes({ properties: 5 }, "a", "1"), undefined);
  assertEquals(argumentTypes({ properties: { a: 5 } }, "a", "1"), undefined);
  assertEquals(argumentTypes({ properties: {} }, "constructor", "1"), undefined);
});
