import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { BARE_CALL, type CallFormat } from "../../../src/server/tools/call_format.ts";
import { CallParser, type CallParserOptions } from "../../../src/server/tools/call_parser.ts";
import {
  BARE_NAME_CALL,
  FENCED_CALL,
  NUMBERED_CALL,
  PARTED_CALL,
  TAGGED_CALL,
} from "../../../src/server/tools/named_call.ts";

const DEEPSEEK_R1: CallFormat = {
  ...{ ...BARE_CALL, name: "named", named: FENCED_CALL },
  ...{ open: "<｜tool▁calls▁begin｜>", close: "<｜tool▁calls▁end｜>" },
};
const DEEPSEEK: CallFormat = { ...DEEPSEEK_R1, named: PARTED_CALL };
const KIMI: CallFormat = {
  ...{ ...BARE_CALL, name: "named", named: NUMBERED_CALL },
  ...{ open: "<|tool_calls_section_begin|>", close: "<|tool_calls_section_end|>" },
};
const FUNCTIONARY: CallFormat = { ...BARE_CALL, open: "<function=", named: TAGGED_CALL };
const MISTRAL: CallFormat = { ...BARE_CALL, open: "[TOOL_CALLS]", named: BARE_NAME_CALL };
const ACTIONS: CallFormat = {
  ...{ ...BARE_CALL, name: "list", nameKey: "tool_name", argumentsKey: "parameters" },
  ...{ open: "<|START_ACTION|>", close: "<|END_ACTION|>", isList: true },
};

interface Parsed {
  readonly text: string;
  readonly calls: readonly (readonly [name: string, args: string])[];
}

function parse(
  format: CallFormat,
  pieces: readonly string[],
  more: Partial<CallParserOptions> = {},
): Parsed & { readonly ids: readonly string[] } {
  const parser = new CallParser({ format, isKnown: () => true, ...more });
  const { controls = new Map<number, string>() } = format;
  const idOf = (piece: string) => [...controls].find(([, text]) => text === piece)?.[0];
  const push = (piece: string) => {
    const id = idOf(piece);
    return id === undefined ? parser.push(piece, [1]) : parser.push("", [id]);
  };
  let text = "";
  const ids: string[] = [];
  const calls: [string, string][] = [];
  for (const delta of [...pieces.flatMap(push), ...parser.end()]) {
    if (delta.kind === "text") text += delta.text;
    else if (delta.kind === "call") {
      calls[delta.call] = [delta.name, ""];
      ids.push(delta.id);
    } else if (delta.kind === "arguments") calls[delta.call][1] += delta.text;
  }
  return { text, calls, ids };
}

const begin = (marks: string) => `<｜tool▁calls▁begin｜>${marks}`;
const CASES: readonly (readonly [CallFormat, string, Parsed])[] = [
  [
    DEEPSEEK_R1,
    `Let me see.${
      begin("<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n")
    }{"a": "}"}\n\`\`\`` +
    "<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```" +
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    { text: "Let me see.", calls: [["f", '{"a": "}"}'], ["g", "{}"]] },
  ],
  [
    DEEPSEEK,
    begin('<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜>') +
    '<｜tool▁call▁begin｜>g<｜tool▁sep｜>{"b": {}}<｜tool▁call▁end｜><｜tool▁calls▁end｜>Done.',
    { text: "Done.", calls: [["f", '{"a": 1}'], ["g", '{"b": {}}']] },
  ],
  // It falls back on its older form, or leaves out an end.
  [DEEPSEEK, begin("<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```"), {
    text: "",
    calls: [["f", "{}"]],
  }],
  [DEEPSEEK, begin("<｜tool▁call▁begin｜>f<｜tool▁sep｜>{} and so on"), {
    text: " and so on",
    calls: [["f", "{}"]],
  }],
  [DEEPSEEK, begin("<｜tool▁call▁begin｜>f<｜tool▁sep｜><｜tool▁call▁end｜>"), {
    text: "",
    calls: [["f", "{}"]],
  }],
  [DEEPSEEK, begin("no call"), { text: begin("no call"), calls: [] }],
  [DEEPSEEK, begin("<｜tool▁call▁begin｜>f g{}"), {
    text: begin("<｜tool▁call▁begin｜>f g{}"),
    calls: [],
  }],
  [DEEPSEEK, begin("<｜tool▁call▁begin｜>f<｜tool▁sep｜>"), {
    text: begin("<｜tool▁call▁begin｜>f<｜tool▁sep｜>"),
    calls: [],
  }],
  [
    KIMI,
    "I look.<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0" +
    '<|tool_call_argument_begin|>{"a": [1]}<|tool_call_end|> <|tool_call_begin|>functions.a.b:1' +
    "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
    { text: "I look.", calls: [["f", '{"a": [1]}'], ["a.b", "{}"]] },
  ],
  [KIMI, "<|tool_calls_section_begin|><|tool_call_begin|>f<|tool_call_argument_begin|>{}", {
    text: "",
    calls: [["f", "{}"]],
  }],
  [FUNCTIONARY, 'So: <function=f>{"a": "</function>"}</function><function=g>{}</function>', {
    text: "So:",
    calls: [["f", '{"a": "</function>"}'], ["g", "{}"]],
  }],
  [FUNCTIONARY, "<function=f {}", { text: "<function=f {}", calls: [] }],
  [MISTRAL, '[TOOL_CALLS]f[CALL_ID]1a2b3c4d5[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}', {
    text: "",
    calls: [["f", '{"a": 1}'], ["g", "{}"]],
  }],
  [
    ACTIONS,
    '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "f", "parameters": {"a": 1}},\n' +
    '    {"tool_call_id": "1", "tool_name": "g", "parameters": {}}\n]<|END_ACTION|>',
    { text: "", calls: [["f", '{"a": 1}'], ["g", "{}"]] },
  ],
];

Deno.test("CallParser reads calls whose name is between marks", () => {
  for (const [format, written, { text, calls }] of CASES) {
    const parsed = parse(format, [written]);
    assertEquals([parsed.text, parsed.calls], [text, calls], written);
  }
});

Deno.test("CallParser finds the same calls between marks however the text is cut", () => {
  const mark = fc.constantFrom(
    ...CASES.flatMap(([, written]) => written.match(/<([|｜]).+?\1>|\[[A-Z_]+\]|</g) ?? []),
  );
  const other = fc.constantFrom(
    "f",
    "functions.",
    ":0",
    "{",
    "}",
    '"',
    "```",
    "\n",
    " ",
    "x{}",
    ">",
  );
  const mixed = fc.tuple(
    fc.constantFrom(...CASES.map(([format]) => format)),
    fc.array(fc.oneof(mark, other), { maxLength: 16 }).map((parts) => parts.join("")),
  );
  const one = fc.oneof(fc.constantFrom(...CASES), mixed);
  fc.assert(
    fc.property(one, fc.array(fc.integer({ min: 1, max: 9 })), ([format, written], lengths) => {
      const chars = [...written];
      const pieces = lengths.map((length) => chars.splice(0, length).join(""));
      const { text, calls } = parse(format, [...pieces, chars.join("")]);
      const whole = parse(format, [written]);
      assertEquals([text, calls], [whole.text, whole.calls]);
    }),
    { seed: 7, numRuns: 1500 },
  );
});

Deno.test("CallParser reads marks that are control tokens, which have no text", () => {
  for (const [format, written, { text, calls }] of CASES) {
    const names = written.match(/<([|｜]).+?\1>|\[[A-Z_]+\]/g) ?? [];
    if (names.length === 0) continue;
    const controls = new Map([...new Set(names)].map((name, i) => [1000 + i, name]));
    const pattern = new RegExp(`(${[...controls.values()].map(RegExp.escape).join("|")})`);
    const parsed = parse({ ...format, controls }, written.split(pattern));
    assertEquals([parsed.text, parsed.calls], [text, calls], written);
  }
  // Where no call is, only the opening says something.
  const controls = new Map([[1000, "<｜tool▁call▁end｜>"], [1001, "<｜tool▁calls▁begin｜>"]]);
  const stray = { ...DEEPSEEK, controls };
  assertEquals(parse(stray, ["Hi", "<｜tool▁call▁end｜>", "!"]).text, "Hi!");
});

Deno.test("CallParser calls calls what the model calls them, where that is a number's", () => {
  const call = (id: string) =>
    `<|tool_call_begin|>${id}<|tool_call_argument_begin|>{}<|tool_call_end|>`;
  const written = `<|tool_calls_section_begin|>${call("functions.f:3")}${call("functions.f:3")}` +
    call("f");
  const [first, second, third] = parse(KIMI, [written]).ids;
  assertEquals(first, "functions.f:3");
  for (const id of [second, third]) assertEquals(/^call_[0-9a-f]{24}$/.test(id), true);
});

Deno.test("CallParser begins behind the marks that are in the prompt", () => {
  const rest = 'f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>';
  const { text, calls } = parse(DEEPSEEK, [rest], { isOpened: true });
  assertEquals([text, calls], ["", [["f", '{"a": 1}']]]);
  assertEquals(parse(MISTRAL, ['f[ARGS]{"a": 1}'], { isOpened: true }).calls, [["f", '{"a": 1}']]);
});

Deno.test("CallParser passes arguments between marks on while they come, in linear time", () => {
  const parser = new CallParser({ format: DEEPSEEK, isKnown: () => true });
  const [call] = parser.push(begin("<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"));
  assertEquals(call.kind, "call");
  assertEquals(parser.push('"a": "lon'), [{ kind: "arguments", call: 0, text: '"a": "lon' }]);
  const long = `${begin("<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}")}${" ".repeat(300_000)}x`;
  assertEquals(parse(DEEPSEEK, [long]).calls, [["f", "{}"]]);
  // What is no closing after all is not waited for.
  parser.push('g"}');
  assertEquals(parser.push(" ".repeat(400)).map(({ kind }) => kind), ["text"]);
});
