import { assert, assertEquals, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { compileGrammar } from "../../src/grammar/mod.ts";
import { judge, schema } from "./tiny.ts";

/** [schema, sentences, others]: beginnings count as others. */
const TABLE: [unknown, string[], string[]][] = [
  [true, ["1", "[]", '{"a": [1, {"b":null}]}', '"x"', "true"], ["", "01", "{a:1}", "[1,]", "tru"]],
  [{}, ["1.5e10", '"\\u00e9\\n"', "-0"], ["+1", '"\n"', '"\\x"']],
  [{ type: "string" }, ['""', '"é😀\\ud83d\\ude00"'], ['"\\ud83d"', "1", '"\\ud83dx"']],
  [{ type: "integer" }, ["0", "-12", "999"], ["1.0", "01", "1e3", "--1"]],
  [{ type: "number" }, ["0.5", "1E+10", "-1.25e-3"], [".5", "1.", "1e999"]],
  [{ type: ["boolean", "null"] }, ["true", "false", "null"], ["0"]],
  [{ type: "object" }, ["{}", '{"a": 1}'], ["[]"]],
  [{ type: "array" }, ["[]", "[1, [2]]"], ["{}"]],
  [{ enum: ["a", 1, null, { b: [2] }] }, ['"a"', "1", "null", '{"b":[2]}'], ['"b"', "2"]],
  [{ const: 'a"b' }, ['"a\\"b"'], ['"ab"']],
  [{ enum: ["a", 1], type: "string" }, ['"a"'], ["1"]],
  [
    {
      type: "object",
      properties: { a: { type: "integer" }, b: { type: "null" } },
      required: ["a"],
    },
    ['{"a":1}', '{"a": 1, "b": null}', '{\n  "a": 1\n}'],
    ["{}", '{"b":null}', '{"b":null,"a":1}', '{"a":1,"c":1}', '{"a":1,}', '{"a":1"b":null}'],
  ],
  [
    { type: "object", properties: { a: {}, b: {}, c: {} }, required: ["c"] },
    ['{"c":1}', '{"a":1,"c":1}', '{"b":1,"c":1}', '{"a":1,"b":1,"c":1}'],
    ["{}", '{"a":1,"b":1}', '{,"c":1}', '{"c":1,"a":1}'],
  ],
  [
    { type: "object", properties: { a: {}, b: {} } },
    ["{}", '{"a":1}', '{"b":1}', '{"a":1,"b":2}'],
    ['{"b":1,"a":2}', '{"a":1,"a":2}'],
  ],
  [
    { properties: { ab: { type: "integer" } }, additionalProperties: { type: "null" } },
    ['{"ab":1}', '{"a":null}', '{"abc":null,"":null}', '{"ab":1,"b":null}'],
    ['{"ab":null}', '{"a":1}', '{"\\u0061b":null}', '{"b":null,"ab":1}'],
  ],
  [
    { type: "object", additionalProperties: { type: "integer" }, maxProperties: 2 },
    ["{}", '{"x":1,"y":2}'],
    ['{"x":1,"y":2,"z":3}', '{"x":""}'],
  ],
  [{ type: "object", additionalProperties: false }, ["{}"], ['{"a":1}']],
  [{ type: "object", required: ["a"] }, ['{"a":[]}'], ["{}", '{"b":1}']],
  [
    { type: "array", items: { type: "integer" }, minItems: 1, maxItems: 3 },
    ["[1]", "[1, 2,3]"],
    ["[]", "[1,2,3,4]", '["a"]'],
  ],
  [
    { prefixItems: [{ const: 1 }, { const: 2 }], items: { const: 3 }, minItems: 1, maxItems: 4 },
    ["[1]", "[1,2]", "[1,2,3,3]"],
    ["[]", "[2]", "[1,3]", "[1,2,3,3,3]"],
  ],
  [{ prefixItems: [{ const: 1 }], items: false }, ["[]", "[1]"], ["[1,1]"]],
  [{ type: "array", maxItems: 0 }, ["[]", "[ ]"], ["[1]"]],
  [{ type: "array", items: {}, maxItems: 1e9 }, ["[1,2]"], ["[1 2]"]],
  [{ type: "string", minLength: 2, maxLength: 3 }, ['"ab"', '"é😀\\n"'], ['"a"', '"abcd"']],
  [{ type: "string", maxLength: 5000 }, [`"${"x".repeat(5000)}"`], [`"${"x".repeat(5001)}"`]],
  [{ type: "integer", minimum: 5, maximum: 120 }, ["5", "9", "10", "99", "100", "120"], [
    "4",
    "121",
    "130",
    "05",
    "1200",
  ]],
  [{ type: "integer", minimum: -12, exclusiveMaximum: 3 }, ["-12", "-9", "0", "2"], ["-13", "3"]],
  [{ type: "integer", exclusiveMinimum: 9.5 }, ["10", "99999"], ["9", "-10"]],
  [{ type: "integer", maximum: -5 }, ["-5", "-100"], ["-4", "0", "5"]],
  [
    { type: "number", minimum: 0.25, maximum: 1.5 },
    ["0.25", "0.3", "1", "1.5", "1.49999", "0.999"],
    ["0.24", "0", "1.51", "2", "1.500001"],
  ],
  [{ type: "number", exclusiveMinimum: 0 }, ["0.1", "1", "123.4"], ["0", "0.0", "-1"]],
  [{ type: "number", exclusiveMaximum: 2, minimum: -0.5 }, ["-0.5", "0", "1.99", "-0.25"], [
    "2",
    "2.0",
    "-0.6",
    "-1",
  ]],
  [{ type: "number", minimum: 1e-7, maximum: 1e-6 }, ["0.0000005"], ["0.000002", "0.00000001"]],
  [{ type: "string", pattern: "^[a-c]{2,4}$" }, ['"ab"', '"abcc"'], ['"a"', '"abcda"', '"xx"']],
  [{ type: "string", pattern: "b+" }, ['"b"', '"abbc"'], ['"a"', '""']],
  [{ type: "string", pattern: "^(?:\\d{3}-)?\\w+?$|^x" }, ['"123-a"', '"x!"'], ['"123-"', '"!"']],
  [{ type: "string", pattern: '^["\\\\\\n/]+$' }, ['"\\"\\\\\\n/"'], ['"n"', '"\\/"']],
  [{ type: "string", pattern: "^[^a]$" }, ['"b"', '"\\u0001"', '"\\""'], ['"a"', '"\\u0061"']],
  [{ type: "string", pattern: "^.{3}$", minLength: 2 }, ['"abc"'], ['"ab"']],
  [{ type: "string", pattern: "^\\u0041\\x42\\u{1F600}$" }, ['"AB😀"'], ['"AB"']],
  [{ type: "string", format: "date" }, ['"2024-02-28"'], ['"2024-13-01"', '"2024-02-30"']],
  [{ type: "string", format: "date-time" }, ['"2024-12-31T23:59:59Z"'], ['"2024-12-31"']],
  [{ type: "string", format: "uuid" }, ['"00000000-0000-4000-8000-000000000000"'], ['"0"']],
  [{ type: "string", format: "ipv4" }, ['"127.0.0.1"'], ['"256.0.0.1"']],
  [{ type: "string", format: "email" }, ['"a.b@example.com"'], ['"a@"']],
  // What zod writes: a pattern beside each format, formats of its own, names that are texts.
  [{ type: "string", format: "date", pattern: "^20\\d\\d-0[1-9]-01$" }, ['"2024-02-01"'], [
    '"1999-02-01"',
    '"2024-02-28"',
  ]],
  [{ type: "string", format: "date", pattern: "0$" }, ['"2024-01-10"'], ['"2024-01-11"', '"0"']],
  // Several that must all hold.
  [{ type: "string", pattern: "^[a-c]+$", minLength: 2, maxLength: 3 }, ['"ab"', '"abc"'], [
    '"a"',
    '"abcc"',
    '"xx"',
  ]],
  [{ type: "string", pattern: "é", maxLength: 2 }, ['"é"', '"é\\n"', '"😀é"'], ['"a"', '"aéa"']],
  [
    { type: "string", allOf: [{ pattern: "a" }, { pattern: "b" }, { pattern: "^..?$" }] },
    ['"ab"', '"ba"'],
    ['"a"', '"aa"', '"cab"'],
  ],
  [{ type: "string", pattern: "^(?!(?!a)).b$" }, ['"ab"'], ['"bb"']],
  [{ type: "string", pattern: "^(?:(?=a)a){0}c$" }, ['"c"'], ['"ac"']],
  [{ type: "string", format: "email", pattern: "^A@B$" }, ['"A@B"'], ['"a@b.example"']],
  // What zod writes of durations and of addresses of people.
  [
    {
      type: "string",
      pattern: "^P(?:(\\d+W)|(?!.*W)(?=\\d|T\\d)(\\d+Y)?(\\d+M)?(\\d+D)?" +
        "(T(?=\\d)(\\d+H)?(\\d+M)?(\\d+([.,]\\d+)?S)?)?)$",
    },
    ['"P1W"', '"P1Y2D"', '"PT5M"', '"P3DT1.5S"'],
    ['"P"', '"PT"', '"P1W1D"', '"P1DT"'],
  ],
  [
    {
      type: "string",
      pattern: "^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]" +
        "@([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$",
    },
    ['"a.b@c-d.example"'],
    ['".a@b.example"', '"a..b@c.example"', '"a@example"'],
  ],
  [{ type: "number", multipleOf: 0.5 }, ["0", "-1.5", "2.0", "12"], ["0.2", "1.55", "1e1"]],
  [{ type: "number", multipleOf: 0.01, minimum: 0 }, ["0.07", "1.1", "3"], ["0.001", "-1"]],
  [{ type: "integer", multipleOf: 5, maximum: 20 }, ["-15", "0", "20"], ["4", "25", "5.0"]],
  [{ type: "integer", multipleOf: 1.5 }, ["3", "-6"], ["2", "1.5"]],
  [{ type: "string", format: "starts_with", pattern: "^ab.*" }, ['"abc"'], ['"cab"']],
  [{ type: "string", format: "password" }, ['"x"'], ["1"]],
  [
    {
      type: "object",
      propertyNames: { type: "string", description: "d" },
      additionalProperties: { type: "number" },
    },
    ['{"a":1}', "{}"],
    ['{"a":"b"}'],
  ],
  [{ anyOf: [{ type: "integer" }, { type: "null" }] }, ["1", "null"], ["true"]],
  [{ oneOf: [{ const: 1 }, { const: 2 }] }, ["1", "2"], ["3"]],
  [{ enum: [1, 12, 123, 2] }, ["1", "12", "123", "2"], ["13", "1234"]],
  [
    {
      oneOf: ["a", "b"].map((kind) => ({
        type: "object",
        properties: { kind: { const: kind }, [kind]: { type: "integer" } },
        required: ["kind", kind],
      })),
    },
    ['{"kind":"a","a":1}', '{"kind":"b","b":1}'],
    ['{"kind":"a","b":1}'],
  ],
  [
    { allOf: [{ type: "integer", minimum: 3 }, { maximum: 5, type: "number" }] },
    ["3", "5"],
    ["2", "6", "3.5"],
  ],
  [
    {
      allOf: [
        { type: "object", properties: { a: { type: "integer" } }, required: ["a"] },
        { type: "object", properties: { b: { type: "null" } }, required: ["b"] },
      ],
    },
    ['{"a":1,"b":null}'],
    ['{"a":1}', '{"b":null}'],
  ],
  [
    { type: "object", properties: { a: {} }, anyOf: [{ required: ["a"] }, { maxProperties: 0 }] },
    ['{"a":1}', "{}"],
    ["[]"],
  ],
  [
    { $ref: "#/$defs/list", $defs: { list: { type: "array", items: { $ref: "#/$defs/list" } } } },
    ["[]", "[[],[[]]]"],
    ["[1]"],
  ],
  [
    {
      $defs: { "a/b~c": { type: "integer" } },
      properties: { x: { $ref: "#/$defs/a~1b~0c", description: "y" }, next: { $ref: "#" } },
      type: "object",
    },
    ['{"x":1,"next":{"x":2}}', "{}"],
    ['{"x":null}', '{"next":1}'],
  ],
  [
    { $defs: { n: { type: "integer" } }, $ref: "#/$defs/n", minimum: 7, maximum: 8 },
    ["7", "8"],
    ["6", "9"],
  ],
];

Deno.test("convertSchema() makes grammars of JSON Schemas", () => {
  for (const [value, sentences, others] of TABLE) {
    const name = JSON.stringify(value);
    for (const each of sentences) {
      assertEquals(judge(schema(value), each), "yes", `${name}: ${each}`);
    }
    for (const each of others) assert(judge(schema(value), each) !== "yes", `${name}: ${each}`);
  }
});

/** [schema, a part of the message that refuses it] */
const WRONG: [unknown, string][] = [
  [1, '"$": it is no schema'],
  [null, "it is no schema"],
  [[], "it is no schema"],
  [{ type: "strin" }, '"$.type": it is none of'],
  [{ properties: { a: { not: {} } } }, '"$.properties.a.not": this word is not supported'],
  [{ if: {} }, '"$.if"'],
  [{ patternProperties: {} }, "this word"],
  [{ propertyNames: { pattern: "^a" } }, '"$.propertyNames": only {"type": "string"}'],
  [{ propertyNames: { type: "integer" } }, '"$.propertyNames": only {"type": "string"}'],
  [{ contains: {} }, "this word"],
  [{ __proto__: null, foo: 1 }, '"$.foo"'],
  [{ type: "array", uniqueItems: true }, '"$.uniqueItems"'],
  [{ type: "number", multipleOf: 0 }, '"$.multipleOf": it is no number above 0'],
  [{ type: "number", multipleOf: "1" }, '"$.multipleOf": it is no number above 0'],
  [{ type: "number", multipleOf: 10.001 }, "more than 1000 units of its last digit"],
  [{ type: "number", multipleOf: 1e-13 }, "more than 1000 units of its last digit"],
  [{ type: "number", multipleOf: 997 }, '"$.multipleOf": it takes more than'],
  [{ type: "number", multipleOf: 5, minimum: 1, maximum: 4 }, "no multiple of it is within"],
  [{ allOf: [{ multipleOf: 2 }, { multipleOf: 3 }] }, "two different ones"],
  [{ type: "string", format: "regex" }, '"$.format": "regex" is none of'],
  [{ type: "string", format: 1 }, '"$.format": it is no text'],
  [{ type: "string", format: "date", pattern: "^a" }, '"$.pattern": no text is all that is asked'],
  [{ type: "string", format: "iri", pattern: "^a" }, '"$.format": "iri" is none of'],
  [{ type: "string", pattern: ["a"] }, '"$.pattern": it is no text'],
  [{ type: "string", pattern: null }, '"$.pattern": it is no text'],
  [{ allOf: [{ pattern: "a" }, { pattern: 1 }], type: "string" }, '"$.pattern": it is no text'],
  [{ type: "string", minLength: -1 }, '"$.minLength": it is no whole number'],
  [{ type: "string", minLength: 3, maxLength: 2 }, "above maxLength"],
  [{ type: "string", minLength: 1e9 }, "no answer is as long"],
  [{ type: "array", minItems: 2, maxItems: 1 }, "above maxItems"],
  [{ type: "array", minItems: 1e9 }, "no answer is as long"],
  [{ items: [{}] }, "prefixItems"],
  [{ prefixItems: [{}], items: false, minItems: 2 }, "no more items"],
  [{ type: "integer", minimum: 3, maximum: 2 }, "no number is within"],
  [{ type: "integer", minimum: 2.2, maximum: 2.8 }, "no number is within"],
  [{ type: "number", minimum: 2, exclusiveMaximum: 2 }, "no number is within"],
  [{ type: "number", minimum: 1e300 }, "not supported: move the bound"],
  [{ type: "number", minimum: 1e-30 }, "more than 15 digits"],
  [{ type: "number", minimum: "1" }, "it is no number"],
  [{ enum: [] }, "no value of its list fits"],
  [{ enum: 1 }, "no list of values"],
  [{ const: 1, type: "string" }, "no value of its list fits"],
  [{ enum: ["a"], minLength: 2 }, "beside enum or const"],
  [{ type: "object", required: "a" }, "no list of texts"],
  [{ properties: { a: false }, required: ["a"] }, "required and not allowed"],
  [{ type: "object", required: ["a"], additionalProperties: false }, "required and not allowed"],
  [{ type: "object", minProperties: 1 }, "only required members are counted"],
  [{ type: "object", properties: [] }, "no object"],
  [{ allOf: [{ type: "string" }, { type: "integer" }] }, "no text fits"],
  [{ allOf: [{ format: "date" }, { format: "time" }] }, "two different ones"],
  [{ anyOf: [] }, "no list of schemas"],
  [{ oneOf: [{ type: "integer" }, { type: "number" }] }, "schemas 0 and 1: use anyOf"],
  [{ $ref: "#" }, "no text fits"],
  [{ anyOf: [{ $ref: "#" }, { type: "null" }] }, "can begin with itself"],
  [{ allOf: [{ $ref: "#" }, {}] }, "refer to each other without end"],
  [{ $ref: "#/$defs/x" }, 'nothing is at "#/$defs/x"'],
  [{ $ref: "#/$defs/constructor", $defs: {} }, "nothing is at"],
  [{ $ref: "https://example.com/x" }, "only references within the schema"],
  [{ properties: { a: { $ref: "#" } }, required: ["a"], type: "object" }, "no text fits"],
  ...[
    ["*a", "nothing stands before"],
    ["a**", "nothing stands before"],
    ["(?:(?=a)b)*", "it looks ahead, or ends, within a repetition"],
    ["(?:(?=a).){2}", "it looks ahead, or ends, within a repetition"],
    ["(?<!a)b", "looking behind"],
    ["^(?!a)a$", "no text is all that is asked for"],
    ["a$b", "no text is all that is asked for"],
    ["(?=.{0,4000}a$).*", "it looks ahead, or there are several, which takes more"],
    ["\\bfoo", "\\b is not supported"],
    ["(a)\\1", "\\1 is not supported"],
    ["\\p{L}", "\\p is not supported"],
    ["a{2,1}", "more often than it may"],
    ["a{1000000000}", "repetitions"],
    ["[b-a]", "a range of characters"],
    ["(a", '")" is missing'],
    ["a)", '")" is not expected'],
    ["[a", '"]" is missing'],
    ["a^b", '"^" is supported at the beginning'],
    ["(".repeat(2000), "nested deeper"],
    ["x".repeat(10_000), "longer than"],
    ["^a{0,5000}b{0,5000}$", "", "minLength"],
  ].map(([pattern, message, word]): [unknown, string] => [
    { type: "string", pattern, ...word ? { [word]: 1 } : {} },
    message || "not sure to keep to minLength",
  ]),
];

Deno.test("convertSchema() refuses what it cannot promise, and says where", () => {
  for (const [value, message] of WRONG) {
    const name = JSON.stringify(value).slice(0, 80);
    const error = assertThrows(
      () => compileGrammar(schema(value)),
      RequestError,
      message,
      name,
    );
    assertEquals([error.status, error.param], [400, "response_format"]);
  }
});

Deno.test("convertSchema() refuses hostile schemas quickly", () => {
  const nested = (depth: number, wrap: (inner: unknown) => unknown) => {
    let inner: unknown = { type: "null" };
    for (let i = 0; i < depth; i++) inner = wrap(inner);
    return inner;
  };
  const twice = (_: unknown, i: number) => [
    `d${i}`,
    {
      type: "object",
      properties: { a: { $ref: `#/$defs/d${i + 1}` }, b: { $ref: `#/$defs/d${i + 1}` } },
    },
  ];
  const bomb = {
    allOf: Array.from({ length: 20 }, () => ({ anyOf: [{ title: "a" }, { title: "b" }] })),
  };
  const ring = Array.from(
    { length: 1000 },
    (_, i) => [`d${i}`, { $ref: `#/$defs/d${(i + 1) % 1000}` }],
  );
  const hostile: [string, unknown, string][] = [
    ["deep items", nested(10_000, (items) => ({ type: "array", items })), ""],
    ["deep allOf", nested(10_000, (each) => ({ allOf: [each, {}] })), ""],
    ["deep anyOf", nested(2_000, (each) => ({ anyOf: [each, { type: "null" }] })), "nested deeper"],
    [
      "a ring of references",
      { $ref: "#/$defs/d0", $defs: Object.fromEntries(ring) },
      "no text fits",
    ],
    ["readings", bomb, "256 readings"],
    ["a bomb of a pattern", { type: "string", pattern: "((a{1,900}){1,900}){1,900}" }, ""],
    ["a pattern of nothing", { type: "string", pattern: "^((a?){900}){900}$" }, "may be empty"],
    ["many members", {
      type: "object",
      properties: Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`m${i}`, {}])),
    }, ""],
    ["a long list", { enum: Array.from({ length: 100_000 }, (_, i) => `value ${i}`) }, ""],
    ["many digits", {
      type: "array",
      prefixItems: Array(3000).fill({ minimum: 1.5, maximum: 7e9 }),
    }, ""],
    [
      "doubled definitions",
      {
        $ref: "#/$defs/d0",
        $defs: { ...Object.fromEntries(Array.from({ length: 60 }, twice)), d60: { type: "null" } },
      },
      "fits",
    ],
  ];
  for (const [name, value, message] of hostile) {
    const start = performance.now();
    try {
      compileGrammar(schema(value));
      assert(message === "" || message === "fits", `${name} was taken`);
    } catch (error) {
      assert(error instanceof RequestError, `${name}: ${error}`);
      assert(error.message.includes(message), `${name}: ${error.message}`);
      assert(error.message.length < 600, `${name}: a message of ${error.message.length}`);
    }
    const ms = performance.now() - start;
    assert(ms < 2500, `${name} took ${ms} ms`);
  }
});
