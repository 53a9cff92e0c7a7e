import { assertEquals } from "@std/assert";
import { planTools } from "../../../src/server/tools/tool_plan.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { withCallIds } from "../../../src/server/tools/call_ids.ts";

const user = { role: "user", content: "Hi" };
const asked = (...ids: (string | undefined)[]) => ({
  role: "assistant",
  content: "",
  tool_calls: ids.map((id) => ({ ...(id !== undefined && { id }), function: { name: "f" } })),
});
const result = (id?: string) => ({
  role: "tool",
  content: "r",
  ...(id !== undefined && { tool_call_id: id }),
});
/** Ids of calls, and of results, in order. */
const idsOf = (messages: readonly Parameters<typeof withCallIds>[0][number][]) =>
  messages.flatMap(({ tool_calls: calls, tool_call_id: of }) =>
    Array.isArray(calls) ? calls.map(({ id }) => id) : of === undefined ? [] : [`=${of}`]
  );
const read = (messages: Parameters<typeof withCallIds>[0], idChars: number | null) =>
  idsOf(withCallIds(messages, { idChars, knowsIds: true }));

Deno.test("withCallIds() keeps ids that a template takes", () => {
  const messages = [
    user,
    asked("abcdefghi", "123456789"),
    result("123456789"),
    result("abcdefghi"),
  ];
  assertEquals(withCallIds(messages, { idChars: 9, knowsIds: true }), messages);
  const longer = [user, asked("call_1"), result("call_1"), result("other")];
  assertEquals(withCallIds(longer, { idChars: null, knowsIds: true }), longer);
  assertEquals(withCallIds([asked(undefined)], { idChars: null }), [asked(undefined)]);
});

Deno.test("withCallIds() gives calls and results of other lengths ids that belong together", () => {
  const messages = [
    ...[user, asked("call_1", "call_2"), result("call_2"), result("call_1")],
    ...[asked("abcde-ghi", "call_1"), result("abcde-ghi"), result("nobody's")],
  ];
  const ids = read(messages, 9);
  assertEquals(ids, [
    ...["c00000000", "c00000001", "=c00000001", "=c00000000"],
    ...["c00000002", "c00000000", "=c00000002", "=c00000003"],
  ]);
  // A longer conversation begins in the same way.
  assertEquals(read([...messages, asked("call_9")], 9).slice(0, ids.length), ids);
});

Deno.test("withCallIds() gives ids to calls without them, and to results in the order of the calls", () => {
  const messages = [
    user,
    asked(undefined, "x", undefined),
    result(),
    result("x"),
    result(),
    result(),
  ];
  assertEquals(read(messages, null), [
    ...["c00000000", "x", "c00000001"],
    ...["=c00000000", "=x", "=c00000001", "=c00000002"],
  ]);
  assertEquals(read([asked("c00000000"), result(), asked(undefined), result()], 9), [
    ...["c00000000", "=c00000000", "c00000001", "=c00000001"],
  ]);
  assertEquals(read([result()], null), ["=c00000000"]);
});

Deno.test("planTools() gives ids where a template looks at them", () => {
  const messages = [user, asked("call_1"), result("call_1")];
  const idsBy = (chatTemplate: string) =>
    idsOf(planTools(new ScriptedModel({ details: { chatTemplate } }), messages, null).messages);
  const nine = ["c00000000", "=c00000000"];
  for (const part of ["{{ m.tool_call_id }}", "{{ call.id }}", "{{ call['id'] }}"]) {
    assertEquals(idsBy(`{{ tools }}[TOOL_CALLS]${part}`), nine, part);
  }
  for (const template of ["{{ tools }}[TOOL_CALLS]", "{{ tools }}<tool_call>{{ call.id }}"]) {
    assertEquals(idsBy(template), ["call_1", "=call_1"], template);
  }
});
