/**
 * Answers that go on and on: what of them is held back is not looked at again with each piece, so
 * that one answer does not keep the thread of all connections busy.
 */
import { assertEquals, assertLess } from "@std/assert";
import { GEMMA_QUOTE, GemmaArguments } from "../../../src/server/tools/gemma_arguments.ts";
import { MarkupCall, PARAM_TAGS } from "../../../src/server/tools/markup_call.ts";
import { ThoughtParser } from "../../../src/server/tools/thought_parser.ts";
import { planTools } from "../../../src/server/tools/tool_plan.ts";
import { auto, messages, plain } from "./read_calls.ts";

interface Long {
  readonly name: string;
  /** What reads the answer, behind what begins it. */
  readonly open: () => { push(char: string): unknown };
  readonly begins: string;
  /** What follows again and again, so often. */
  readonly piece: string;
  readonly count: number;
}

/** Counts at which looking at everything again takes many seconds. */
const LONG: readonly Long[] = [
  ...[["a text", `a:${GEMMA_QUOTE}`], ["a name", ""], ["a number", "a:"]].map(([name, begins]) => ({
    ...{ name: `${name} of Gemma's`, open: () => new GemmaArguments(), begins },
    ...{ piece: "1", count: 250_000 },
  })),
  {
    name: "a value that may be character data",
    open: () => new MarkupCall(PARAM_TAGS, () => undefined),
    ...{ begins: 'f"><param name="a">', piece: "x", count: 250_000 },
  },
  ...[["before", ""], ["within", "<think>x"], ["behind", "<think>x</think>"]].map((of) => ({
    name: `white space ${of[0]} thoughts`,
    open: () => new ThoughtParser({ isOpened: false }),
    ...{ begins: of[1], piece: " ", count: 150_000 },
  })),
  {
    name: "white space before a part that says for whom it is",
    open: () => planTools(plain("functionary"), messages, auto).newParser!(),
    ...{ begins: "", piece: "\n", count: 150_000 },
  },
];
const LIMIT_MS = 1_500;

for (const { name, open, begins, piece, count } of LONG) {
  Deno.test(`a long answer is read in time: ${name}`, () => {
    const msOf = () => {
      const parser = open();
      for (const char of begins) parser.push(char);
      const startMs = performance.now();
      for (let i = 0; i < count; i++) parser.push(piece);
      return performance.now() - startMs;
    };
    let leastMs = Infinity;
    for (let i = 0; i < 3 && leastMs > LIMIT_MS; i++) leastMs = Math.min(leastMs, msOf());
    assertLess(leastMs, LIMIT_MS);
  });
}

Deno.test("much white space is told as it comes, the same however an answer is cut", () => {
  const spaces = " ".repeat(300);
  const written = [
    [`<think>a${spaces}</think>b`, `a${spaces.slice(256)}`, "b"],
    [`<think>a${spaces}`, `a${spaces.slice(256)}`, ""],
    [`<think>a${spaces}b</think>${spaces}c`, `a${spaces}b`, "c"],
    [`${spaces}<think>a</think>b`, "", `${spaces}<think>a</think>b`],
  ];
  for (const [whole, thoughts, text] of written) {
    for (const pieces of [[whole], [...whole]]) {
      const parser = new ThoughtParser({ isOpened: false });
      const deltas = [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()];
      const of = (kind: string) =>
        deltas.map((each) => each.kind === kind && "text" in each ? each.text : "").join("");
      assertEquals([of("reasoning"), of("text")], [thoughts, text], JSON.stringify(whole));
    }
  }
});
