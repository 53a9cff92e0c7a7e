import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { CallFormat } from "../../../src/server/tools/call_format.ts";
import { CallParser, type CallParserOptions } from "../../../src/server/tools/call_parser.ts";
import {
  ARGUMENT_TAGS,
  FUNCTION_TAGS,
  INVOKE_TAGS,
} from "../../../src/server/tools/markup_call.ts";
import { fuzzRuns } from "../../support/fuzz.ts";

const TAGGED: CallFormat = {
  name: "markup",
  open: "<tool_call>",
  close: "</tool_call>",
  argumentsKey: "arguments",
  idChars: null,
  isInTemplate: true,
};
const QWEN: CallFormat = { ...TAGGED, markup: FUNCTION_TAGS };
const GLM: CallFormat = { ...TAGGED, close: "", markup: ARGUMENT_TAGS };
const MINIMAX: CallFormat = {
  ...TAGGED,
  open: "<minimax:tool_call>",
  close: "</minimax:tool_call>",
  markup: INVOKE_TAGS,
};

const TYPES: Readonly<Record<string, unknown>> = {
  days: "integer",
  deep: ["object", "null"],
  mixed: ["string", "integer"],
  city: "string",
  yes: "boolean",
};

interface Parsed {
  readonly text: string;
  readonly calls: readonly (readonly [name: string, args: unknown])[];
}

function parse(
  format: CallFormat,
  pieces: readonly string[],
  more: Partial<CallParserOptions> = {},
): Parsed {
  const parser = new CallParser({
    format,
    isKnown: () => true,
    typeOf: (_name, key) => TYPES[key],
    ...more,
  });
  let text = "";
  const calls: [string, string][] = [];
  for (const delta of [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()]) {
    if (delta.kind === "text") text += delta.text;
    else if (delta.kind === "call") calls[delta.call] = [delta.name, ""];
    else if (delta.kind === "arguments") calls[delta.call][1] += delta.text;
  }
  return { text, calls: calls.map(([name, json]) => [name, JSON.parse(json)]) };
}

const PARAMETERS = "<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n";
const CASES: readonly (readonly [CallFormat, string, Parsed])[] = [
  [QWEN, `Hm.\n<tool_call>\n<function=f>\n${PARAMETERS}</function>\n</tool_call>`, {
    text: "Hm.",
    calls: [["f", { city: "Paris", days: 3 }]],
  }],
  [QWEN, "<tool_call><function=a.b><parameter=code>\n\nif x < 3:\n  y\n\n</parameter></function>", {
    text: "",
    calls: [["a.b", { code: "\nif x < 3:\n  y\n" }]],
  }],
  [QWEN, "<tool_call>\n<function=f>\n</function>\n<function=g>\n</function>\n</tool_call>x", {
    text: "x",
    calls: [["f", {}], ["g", {}]],
  }],
  [
    QWEN,
    '<tool_call><function=f><parameter=deep>{"a": [1]}</parameter><parameter=yes>True</parameter>' +
    "<parameter=mixed>7</parameter><parameter=city>7</parameter><parameter=days>many</parameter>" +
    "<parameter=other>7</parameter><parameter=list>[7]</parameter></function></tool_call>",
    {
      text: "",
      calls: [["f", {
        ...{ deep: { a: [1] }, yes: true, mixed: 7, city: "7", days: "many", other: "7" },
        list: [7],
      }]],
    },
  ],
  [QWEN, "<tool_call>no function", { text: "<tool_call>no function", calls: [] }],
  [QWEN, "<tool_call><function=f g>", { text: "<tool_call><function=f g>", calls: [] }],
  // What is no tag ends the arguments, as JSON.
  [QWEN, "<tool_call><function=f><parameter=days>3</parameter>oops", {
    text: "oops",
    calls: [["f", { days: 3 }]],
  }],
  [QWEN, "<tool_call><function=f><parameter=__proto__>1</parameter></function></tool_call>", {
    text: "",
    calls: [["f", JSON.parse('{"__proto__": "1"}')]],
  }],
  [
    GLM,
    "<tool_call>f\n<arg_key>city</arg_key>\n<arg_value>New\nYork</arg_value>\n" +
    "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n<tool_call>g</tool_call>",
    { text: "", calls: [["f", { city: "New\nYork", days: 3 }], ["g", {}]] },
  ],
  [GLM, "<tool_call>f<arg_key>days</arg_key><arg_value>3</arg_value></tool_call> x", {
    text: " x",
    calls: [["f", { days: 3 }]],
  }],
  [
    MINIMAX,
    '<minimax:tool_call>\n<invoke name="f">\n<parameter name="city">\nParis</parameter>\n' +
    "</invoke>\n" +
    '<invoke name="g">\n</invoke>\n</minimax:tool_call>',
    { text: "", calls: [["f", { city: "\nParis" }], ["g", {}]] },
  ],
];

Deno.test("CallParser reads calls whose arguments are between tags", () => {
  for (const [format, written, parsed] of CASES) assertEquals(parse(format, [written]), parsed);
});

Deno.test("CallParser finds the same calls between tags however the text is cut", () => {
  const one = fc.constantFrom(...CASES);
  fc.assert(
    fc.property(one, fc.array(fc.integer({ min: 1, max: 9 })), ([format, written], lengths) => {
      const pieces: string[] = [];
      let rest = written;
      for (const length of lengths) {
        pieces.push(rest.slice(0, length));
        rest = rest.slice(length);
      }
      assertEquals(parse(format, [...pieces, rest]), parse(format, [written]));
    }),
    fuzzRuns(100),
  );
});

Deno.test("CallParser goes on behind a name's opening that is in the prompt", () => {
  const rest = `f>\n${PARAMETERS}</function>\n</tool_call>`;
  const parsed = { text: "", calls: [["f", { city: "Paris", days: 3 }]] as const };
  assertEquals(parse(QWEN, [rest], { isOpened: true }), parsed);
});

Deno.test("a number between tags keeps its digits", () => {
  const parser = new CallParser({ format: QWEN, isKnown: () => true, typeOf: () => "integer" });
  const deltas = parser.push(
    "<tool_call><function=f><parameter=n>12345678901234567890</parameter></function>",
  );
  assertEquals(deltas.slice(1), [
    { kind: "arguments", call: 0, text: '{"n": 12345678901234567890}' },
  ]);
});

Deno.test("a call between tags of a long value takes linear time", () => {
  const value = "x".repeat(1_000_000);
  const { calls } = parse(QWEN, [
    `<tool_call><function=f><parameter=city>${value}</parameter></function></tool_call>`,
  ]);
  assertEquals((calls[0][1] as { city: string }).city.length, value.length);
});
