import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { z } from "zod";
import { meantField, unknownFields, valueAt, withOthers } from "../../src/server/known_fields.ts";
import { optional } from "../../src/server/parse_fields.ts";
import { OPERATION_ROUTES } from "../../src/server/operation_routes.ts";
import { API_ROUTES } from "../../src/server/routes.ts";

const schema = withOthers(
  z.object({
    text: z.string(),
    options: optional(z.object({ seed: optional(z.int()), top_k: optional(z.int()) })),
    bias: optional(z.record(z.string(), z.number())),
    list: optional(z.array(z.object({ a: z.int() }))),
  }),
  { unsupported: { audio: () => false, "options.mirostat": () => false }, hints: ["user"] },
);

Deno.test("unknownFields() finds what neither the schema nor what is said of it names", () => {
  const unknown = (body: Record<string, unknown>) => unknownFields(schema, body, 9);
  assertEquals(unknown({ text: 1, user: 2, audio: {}, options: { seed: 1, mirostat: 2 } }), []);
  assertEquals(unknown({ txt: 1, options: { sed: 1, seed: 2 }, z: 3 }), [
    "txt",
    "options.sed",
    "z",
  ]);
  // What clients name, lists, and what asks for nothing are not looked into.
  assertEquals(unknown({ bias: { x: 1 }, list: [{ b: 1 }], none: null, options: null }), []);
  assertEquals(unknown({ options: [1], text: { a: 1 } }), [], "another error's business");
  assertEquals(unknown(JSON.parse(`{"__proto__": 1, "constructor": 2}`)), [
    "__proto__",
    "constructor",
  ]);
});

Deno.test("unknownFields() looks for no more than it is asked for", () => {
  const body = Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [`field${i}`, i]));
  assertEquals(unknownFields(schema, body, 3), ["field0", "field1", "field2"]);
});

Deno.test("unknownFields() takes any JSON, and names nothing that is known", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (body) => {
      const expected = Object.keys(body).filter((name) =>
        body[name] !== null && !["text", "options", "bias", "list", "audio", "user"].includes(name)
      );
      assertEquals(unknownFields(schema, body, Infinity), expected);
    }),
    { numRuns: 300, seed: 5 },
  );
});

Deno.test("meantField() proposes a name nearby, or the same one where it belongs", () => {
  assertEquals(meantField(schema, "txt"), "text");
  assertEquals(meantField(schema, "options.tops_k"), "options.top_k");
  assertEquals(meantField(schema, "seed"), "options.seed");
  assertEquals(meantField(schema, "options.text"), "text");
  assertEquals(meantField(schema, "something_else"), null);
});

Deno.test("valueAt() reads own values only", () => {
  assertEquals(valueAt({ a: { b: 1 } }, "a.b"), 1);
  assertEquals(valueAt({ a: [1] }, "a.length"), undefined);
  assertEquals(valueAt({}, "constructor.name"), undefined);
});

Deno.test("every route knows the fields of its own document", () => {
  for (const { method, path, body } of [...API_ROUTES, ...OPERATION_ROUTES]) {
    if (body === undefined) continue;
    const { properties = {} } = z.toJSONSchema(body, { io: "input", unrepresentable: "any" });
    const names = Object.fromEntries(Object.keys(properties).map((name) => [name, 1]));
    assertEquals(unknownFields(body, names, 9), [], `${method} ${path}`);
    assertEquals(unknownFields(body, { no_such: 1 }, 9), ["no_such"], `${method} ${path}`);
  }
});
