import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { CallFormat } from "../../../src/server/tools/call_format.ts";
import type { Delta } from "../../../src/server/tools/answer_parser.ts";
import { CallParser, type CallParserOptions } from "../../../src/server/tools/call_parser.ts";
import { BARE_NAME_CALL } from "../../../src/server/tools/named_call.ts";
import { anyText } from "../../support/fuzz.ts";

const BARE: CallFormat = {
  name: "json",
  open: "",
  close: "",
  argumentsKey: "arguments",
  idChars: null,
  isInTemplate: true,
};
const HERMES: CallFormat = {
  ...BARE,
  name: "hermes",
  open: "<tool_call>",
  close: "</tool_call>",
};
const MISTRAL: CallFormat = {
  ...BARE,
  name: "mistral",
  open: "[TOOL_CALLS]",
  named: BARE_NAME_CALL,
  idChars: 9,
};

const PYTHON: CallFormat = {
  ...BARE,
  name: "python",
  open: "<|tool_call_start|>",
  close: "<|tool_call_end|>",
  hasPythonCalls: true,
};

interface Parsed {
  readonly text: string;
  readonly calls: readonly (readonly [name: string, args: string])[];
}

/** What comes of `pieces`, ids left out. */
function parse(pieces: readonly string[], options: Partial<CallParserOptions> = {}): Parsed {
  const parser = new CallParser({
    format: HERMES,
    isKnown: (name) => name === "f" || name === "g",
    ...options,
  });
  const deltas: Delta[] = [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()];
  let text = "";
  const calls: [string, string][] = [];
  for (const delta of deltas) {
    if (delta.kind === "text") text += delta.text;
    else if (delta.kind === "call") calls[delta.call] = [delta.name, ""];
    else if (delta.kind === "arguments") calls[delta.call][1] += delta.text;
  }
  assertEquals(parser.callCount, calls.length);
  return { text, calls };
}

/** Text, its format, and what it says. */
const CASES: readonly (readonly [CallFormat, string, string, Parsed["calls"]])[] = [
  [HERMES, "Hello, world", "Hello, world", []],
  [HERMES, " \n", " \n", []],
  [
    HERMES,
    `<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>`,
    "",
    [["f", `{"a": 1}`]],
  ],
  [
    HERMES,
    `Sure.\n<tool_call>{"name":"f","arguments":{}}</tool_call>\n<tool_call>\n` +
    `{"arguments":{"b":[{"c":"}\\"]"}]},"name":"other"}</tool_call>\n`,
    "Sure.",
    [["f", "{}"], ["other", `{"b":[{"c":"}\\"]"}]}`]],
  ],
  [HERMES, `<tool_call>{"name":"f","arguments":{"a":"cut o`, "", [["f", `{"a":"cut o`]]],
  [HERMES, `<tool_call>{"name":"f"}</tool_call> Done.`, " Done.", [["f", "{}"]]],
  [HERMES, `<tool_call>{"name":"f","arguments":null}`, "", [["f", "{}"]]],
  [HERMES, `<tool_call>{"name":"f","arguments":"{\\"a\\":1}"}`, "", [["f", `{"a":1}`]]],
  [HERMES, `<tool_call>{"name":"f","id":7,"arguments":{"x":1}}`, "", [["f", `{"x":1}`]]],
  [HERMES, `a <tool_calls> b <tool_call`, "a <tool_calls> b <tool_call", []],
  [HERMES, `<tool_call>no json</tool_call>`, "<tool_call>no json</tool_call>", []],
  [HERMES, `<tool_call>{"name":5}`, `<tool_call>{"name":5}`, []],
  [HERMES, `<tool_call>{"no":1}`, `<tool_call>{"no":1}`, []],
  [HERMES, `<tool_call>{"na`, `<tool_call>{"na`, []],
  [HERMES, `<<tool_call>{"name":"f"}`, "<", [["f", "{}"]]],
  [BARE, `{"name": "f", "parameters": {"a": 1}}`, "", [["f", `{"a": 1}`]]],
  [
    BARE,
    `\n{"name":"f","arguments":{}}; {"name":"g","arguments":{"x":2}}`,
    "",
    [["f", "{}"], ["g", `{"x":2}`]],
  ],
  [BARE, `[{"name":"f","arguments":{}},\n{"name":"g"}]`, "", [["f", "{}"], ["g", "{}"]]],
  [BARE, `{"name":"Ada","age":36}`, `{"name":"Ada","age":36}`, []],
  [BARE, `{"name":"f","age":36`, `{"name":"f","age":36`, []],
  [BARE, `[1, 2]`, `[1, 2]`, []],
  [BARE, `[]`, `[]`, []],
  [BARE, `Text {"name":"f","arguments":{}}`, `Text {"name":"f","arguments":{}}`, []],
  [BARE, `{"name":"f","arguments":{}} and so on`, " and so on", [["f", "{}"]]],
  [
    MISTRAL,
    `[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]`,
    "",
    [["f", `{"a": 1}`], ["g", "{}"]],
  ],
  [
    MISTRAL,
    `Text[TOOL_CALLS]f[ARGS]{"a": {"b": 1}}[TOOL_CALLS]g{"c": 2}`,
    "Text",
    [["f", `{"a": {"b": 1}}`], ["g", `{"c": 2}`]],
  ],
  [MISTRAL, `[TOOL_CALLS] f[CALL_ID]123456789[ARGS]{}`, "", [["f", "{}"]]],
  [MISTRAL, `[TOOL_CALLS]f\n`, `[TOOL_CALLS]f\n`, []],
  [MISTRAL, `[TOOL`, `[TOOL`, []],
  [
    PYTHON,
    `Sure.<|tool_call_start|>[f(city="Ulm", days=3), g()]<|tool_call_end|>Done.`,
    "Sure.Done.",
    [["f", `{"city": "Ulm", "days": 3}`], ["g", "{}"]],
  ],
  // The closing may be a control token, which has no text.
  [PYTHON, `<|tool_call_start|>[f(a=1)]Done.`, "Done.", [["f", `{"a": 1}`]]],
  [PYTHON, `<|tool_call_start|>f( a = None )`, "", [["f", `{"a": null}`]]],
  [
    PYTHON,
    `<|tool_call_start|>[f(a='it\\'s "x"\n\\d\\n', b=[1, 'q', (True,), {}], ` +
    `c={'k': -.5, "l": [],},)]`,
    "",
    [[
      "f",
      `{"a": "it's \\"x\\"\\n\\\\d\\n", "b": [1, "q", [true], {}], "c": {"k": -0.5, "l": []}}`,
    ]],
  ],
  [PYTHON, `<|tool_call_start|>[{"name": "f", "arguments": {"a": 1}}]`, "", [["f", `{"a": 1}`]]],
  [PYTHON, `<|tool_call_start|>[f(a=true, b=1_000, c=1.5e3, d=nan)]`, "", [
    ["f", `{"a": true, "b": 1000, "c": 1.5e3, "d": "nan"}`],
  ]],
  [PYTHON, `<|tool_call_start|>[f(a="cut o`, "", [["f", `{"a": "cut o`]]],
  [PYTHON, `<|tool_call_start|>[f]`, `<|tool_call_start|>[f]`, []],
  [PYTHON, `[f(a=1)]`, `[f(a=1)]`, []],
];

Deno.test("CallParser tells calls from text in every format", () => {
  for (const [format, written, text, calls] of CASES) {
    assertEquals(parse([written], { format }), { text, calls }, written);
  }
});

Deno.test("CallParser finds the same however the text is cut", () => {
  const piece = fc.constantFrom(
    ...["<|tool_call_start|>", "<|tool_call_end|>", "f(", "a=", "'", "(", ")", "=", "True"],
    ...["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "{", "}", "[", "]", '"', "\\"],
    ...['"name"', '"arguments"', '"parameters"', ":", ",", ";", "f", "g", "f{", " ", "\n", "null"],
    ...[
      '{"name":"f","arguments":{"a":"é🙂"}}',
      '{"name": "g", "parameters": {}}',
      "text",
      "<",
      "1",
    ],
  );
  const written = fc.oneof(
    fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join("")),
    fc.constantFrom(...CASES.map(([, text]) => text)),
  );
  const formats = fc.constantFrom(HERMES, BARE, MISTRAL, PYTHON);
  fc.assert(
    fc.property(
      written,
      formats,
      fc.boolean(),
      fc.option(fc.constant(1), { nil: undefined }),
      fc.infiniteStream(fc.integer({ min: 1, max: 5 })),
      (text, format, isOpened, callsMax, lengths) => {
        const options = { format, isOpened, callsMax };
        const characters = [...text];
        const pieces: string[] = [];
        for (const length of lengths) {
          if (characters.length === 0) break;
          pieces.push(characters.splice(0, length).join(""));
        }
        assertEquals(parse(pieces, options), parse([text], options));
      },
    ),
    { numRuns: 3000, seed: 7 },
  );
});

Deno.test("CallParser loses no text where there is no call", () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const wellFormed = text.toWellFormed();
      assertEquals(parse([...wellFormed]), { text: wellFormed, calls: [] });
    }),
    { numRuns: 500, seed: 8 },
  );
});

Deno.test("CallParser begins within a call where the prompt opened one", () => {
  const written = `{"name":"f","arguments":{}}\n</tool_call>`;
  assertEquals(parse([written], { isOpened: true }), { text: "", calls: [["f", "{}"]] });
});

Deno.test("CallParser leaves out calls beyond the most there may be", () => {
  const two = `<tool_call>{"name":"f"}</tool_call><tool_call>{"name":"g","arguments":{"a":1}}`;
  assertEquals(parse([two], { callsMax: 1 }).calls, [["f", "{}"]]);
});

Deno.test("CallParser sees an opening that is a control token and has no text", () => {
  const parser = new CallParser({
    format: { ...MISTRAL, controls: new Map([[5, "[TOOL_CALLS]"]]) },
    isKnown: () => true,
  });
  assertEquals(parser.push("Hi", [1]), [{ kind: "text", text: "Hi" }]);
  assertEquals(parser.push("", [5]), []);
  const [call, args] = parser.push(`[{"name":"f","arguments":{}}]`, [2]);
  assertEquals(call.kind === "call" && /^[0-9a-f]{9}$/.test(call.id), true);
  assertEquals(args, { kind: "arguments", call: 0, text: "{}" });
});

Deno.test("CallParser passes arguments on while they come", () => {
  const parser = new CallParser({ format: HERMES, isKnown: () => true });
  parser.push(`<tool_call>{"name":"f","arguments":{"a"`);
  assertEquals(parser.push(`: "lon`), [{ kind: "arguments", call: 0, text: `: "lon` }]);
});

Deno.test("CallParser makes of Python's literals the JSON of the same values", () => {
  const args = fc.dictionary(fc.stringMatching(/^[a-z_]\w{0,8}$/), fc.jsonValue({ maxDepth: 3 }));
  fc.assert(
    fc.property(args, (args) => {
      const written = Object.entries(args).map(([key, value]) => `${key}=${pythonOf(value)}`);
      const options = { format: PYTHON };
      const { calls } = parse([`<|tool_call_start|>[f(${written.join(", ")})]`], options);
      assertEquals(calls.map(([name, text]) => [name, JSON.parse(text)]), [["f", args]]);
    }),
    { numRuns: 500, seed: 9 },
  );
});

Deno.test("CallParser makes JSON of what JSON has no words for", () => {
  const cases = [
    ["{1: 'a', 2 : [3, {4: 5}], None: _, 'b': 6}", {
      ...{ 1: "a", 2: [3, { 4: 5 }], None: "_", b: 6 },
    }],
    ["[1_000, .5, +2, -0x1, nan, __, _5, (1, 2,), {}]", [
      ...[1000, 0.5, 2, "-0x1", "nan", "__", "_5", [1, 2], {}],
    ]],
  ] as const;
  for (const [written, value] of cases) {
    const { calls } = parse([`<|tool_call_start|>[f(a=${written})]`], { format: PYTHON });
    assertEquals(JSON.parse(calls[0][1]), { a: value });
  }
});

/** A value as Python's repr() writes it, nearly. */
function pythonOf(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") {
    return `'${value.replace(/[\\']/g, "\\$&").replaceAll("\n", "\\n")}'`;
  }
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(", ")}]`;
  const members = Object.entries(value as object);
  return `{${members.map(([key, each]) => `${pythonOf(key)}: ${pythonOf(each)}`).join(", ")}}`;
}
