import { assert, assertEquals } from "@std/assert";
import { z } from "zod";
import { countValues, isShallow, listOf } from "../../src/server/parse_fields.ts";

Deno.test("listOf() looks at no item behind the first one at fault", () => {
  const seen: unknown[] = [];
  const item = z.unknown().refine((value) => {
    seen.push(value);
    return value !== "bad";
  }, "expected something good");
  const list = z.object({ list: listOf(item, { min: 1, minMessage: "expected one", max: 4 }) });
  const issuesOf = (values: unknown) => list.safeParse({ list: values }).error?.issues ?? [];
  assertEquals(issuesOf(["a", "b"]), []);
  assertEquals(list.parse({ list: [1, 2] }), { list: [1, 2] });
  seen.length = 0;
  const [issue, ...others] = issuesOf(["a", "bad", "bad", "c"]);
  assertEquals([issue.path, issue.message], [["list", 1], "expected something good"]);
  assertEquals([seen, others], [["a", "bad"], []]);
  assertEquals(issuesOf([])[0].message, "expected one");
  seen.length = 0;
  assertEquals(issuesOf(["a", "b", "c", "d", "e"])[0].code, "too_big");
  assertEquals(seen, []);
});

Deno.test("listOf() is documented with its items", () => {
  const schema = z.toJSONSchema(listOf(z.string().max(3), { max: 2 }), { io: "input" });
  assertEquals(schema.items, { type: "string", maxLength: 3 });
  assertEquals([schema.type, schema.maxItems], ["array", 2]);
});

Deno.test("countValues() counts members and items, but no ids, and stops", () => {
  const body = { prompt: [1, 2, 3], input: [[1, 2], [3]], messages: [{ role: "a", content: [1] }] };
  // Three fields, two lists, a message, its two members; and a number where no ids are.
  assertEquals(countValues(body, 100), 9);
  assertEquals(countValues({ a: Array(1000).fill({}) }, 10), 11);
});

Deno.test("isShallow() is false of what nests deeper than any honest value", () => {
  const nested = (depth: number): unknown => depth === 0 ? 1 : [nested(depth - 1)];
  assert(isShallow(nested(64)) && isShallow({ a: [{ b: [] }] }) && isShallow("x"));
  assert(!isShallow(nested(70)));
  const deep: unknown = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));
  assert(!isShallow(deep));
});
