import { assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import { runSteps } from "../../../src/base/steps.ts";
import { gapIds, surroundedGapIds } from "../../../src/server/answers/gap_prompt.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";

const MARKS = { prefix: 1, suffix: 2, middle: 3, repository: null, file: null };

/** Prompts as text: ids are letters, marks are ①②③, ④ of a repository and ⑤ of a file. */
function shown(ids: readonly number[]): string {
  return ids.map((id) => id < 10 ? "_①②③④⑤"[id] : String.fromCharCode(id)).join("");
}

function prompt(
  of: Partial<Parameters<typeof surroundedGapIds>[1]>,
  { tokens = 1000, marks = MARKS as typeof MARKS | Record<keyof typeof MARKS, number> } = {},
): string {
  const model = new ScriptedModel({ details: { gapMarks: marks } });
  const around = { before: "abcdef", after: "uvwxyz", files: [], begun: "", ...of };
  return shown(runSteps(surroundedGapIds(model, around, tokens)));
}

Deno.test("gapIds() refuses models that have no marks, by the field that asked", () => {
  const model = new ScriptedModel({});
  const gap = { before: [65], after: [66] };
  const error = assertThrows(() => gapIds(model, gap, "input_prefix"), RequestError);
  assertEquals([error.status, error.param], [400, "input_prefix"]);
});

Deno.test("surroundedGapIds() puts what has begun behind the last mark, and files before all", () => {
  assertEquals(prompt({ begun: "m" }), "①abcdef②uvwxyz③m");
  const files = [{ name: "x.ts", text: "far" }, { name: "y.ts", text: "near" }];
  const marks = { ...MARKS, repository: 4, file: 5 };
  assertEquals(
    prompt({ files }, { marks }),
    "④myproject\n⑤x.ts\nfar⑤y.ts\nnear⑤filename\n①abcdef②uvwxyz③",
  );
  const snippet = "\n\n--- snippet ---\n\n";
  assertEquals(prompt({ files }), `${snippet}far${snippet}near①abcdef②uvwxyz③`);
});

Deno.test("surroundedGapIds() keeps what is near the gap, at most so many tokens", () => {
  assertEquals(prompt({}, { tokens: 15 }), "①abcdef②uvwxyz③");
  // Of room for eight, a quarter is of what follows.
  assertEquals(prompt({}, { tokens: 11 }), "①abcdef②uv③");
  assertEquals(prompt({}, { tokens: 7 }), "①def②u③");
  assertEquals(prompt({ before: "a" }, { tokens: 7 }), "①a②uvw③");
  assertEquals(prompt({ after: "" }, { tokens: 7 }), "①cdef②③");
  assertEquals(prompt({}, { tokens: 0 }), "①②③");
});

Deno.test("surroundedGapIds() leaves out the farthest files where room is short", () => {
  const files = [{ name: "x", text: "far" }, { name: "y", text: "near" }];
  const marks = { ...MARKS, repository: 4, file: 5 };
  const all = prompt({ files }, { marks }).length;
  assertEquals(prompt({ files }, { marks, tokens: all }).length, all);
  const near = "④myproject\n⑤y\nnear⑤filename\n①abcdef②uvwxyz③";
  assertEquals(prompt({ files }, { marks, tokens: all - 1 }), near);
  assertEquals(prompt({ files }, { marks, tokens: near.length - 1 }), "①abcdef②uvwxyz③");
});
