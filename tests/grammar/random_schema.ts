/** Random JSON Schemas of what the grammar engine supports, each with values that fit. */
import fc from "fast-check";

const name = fc.constantFrom("a", "b", "ab", "name", 'é"', "x y", "");
const few = fc.nat(3);
const string = fc.oneof(
  fc.constant({ type: "string" }),
  fc.tuple(few, few).map(([a, b]) => ({ type: "string", minLength: a, maxLength: a + b })),
  fc.constantFrom("^[a-z]{1,5}$", "^\\d+(?:\\.\\d{2})?$", "a|b", '^[^x"]*$', "^(?:ab|c)+é?$")
    .map((pattern) => ({ type: "string", pattern })),
  fc.constantFrom("date", "time", "uuid", "ipv4").map((format) => ({ type: "string", format })),
);
const bound = fc.oneof(
  fc.integer({ min: -1200, max: 1200 }),
  fc.integer({ min: -5000, max: 5000 }).map((n) => n / 16),
  fc.integer({ min: -99_999, max: 99_999 }).map((n) => n / 1000),
);
/** Sums of decimal fractions have 17 digits, more than a bound may have. */
const rounded = (bound: number) => Math.round(bound * 1e4) / 1e4;
const number = fc.oneof(
  fc.constantFrom({ type: "integer" }, { type: "number" }),
  fc.tuple(bound, bound, fc.constantFrom("number", "integer")).map(([a, b, type]) => ({
    type,
    minimum: rounded(Math.min(a, b) - 1),
    maximum: rounded(Math.max(a, b) + 1),
  })),
  fc.tuple(bound, fc.constantFrom("number", "integer")).map(([a, type]) => ({
    type,
    exclusiveMinimum: a,
  })),
  fc.tuple(bound, bound).map(([a, b]) => ({
    type: "number",
    exclusiveMinimum: rounded(Math.min(a, b) - 0.5),
    exclusiveMaximum: rounded(Math.max(a, b) + 0.5),
  })),
  bound.map((a) => ({ type: "number", maximum: a })),
);
const values = fc.uniqueArray(
  fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.integer(), fc.string()),
  { minLength: 1, maxLength: 4, selector: (value) => JSON.stringify(value) },
);

const { schema } = fc.letrec<{ schema: unknown }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    string,
    number,
    fc.constantFrom({ type: "boolean" }, { type: "null" }, { type: ["string", "null"] }),
    values.map((all) => ({ enum: all })),
    values.map(([value]) => ({ const: value })),
    fc.tuple(
      fc.uniqueArray(fc.tuple(name, tie("schema")), { maxLength: 4, selector: ([each]) => each }),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      fc.constantFrom(undefined, false, true, { type: "integer" }),
    ).map(([members, isRequired, others]) => ({
      type: "object",
      properties: Object.fromEntries(members),
      required: members.filter((_, i) => isRequired[i]).map(([each]) => each),
      ...others === undefined ? {} : { additionalProperties: others },
    })),
    fc.tuple(tie("schema"), few, few).map(([items, min, more]) => ({
      type: "array",
      items,
      minItems: min,
      maxItems: min + more,
    })),
    fc.tuple(tie("schema"), tie("schema"), few).map(([a, b, min]) => ({
      type: "array",
      prefixItems: [a, b],
      minItems: min,
    })),
    fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    fc.tuple(tie("schema"), tie("schema")).map(([a, b]) => ({
      allOf: [
        { type: "object", properties: { p: a }, required: ["p"] },
        { properties: { q: b, p: {} }, required: ["q"] },
      ],
    })),
    tie("schema").map((inner) => ({
      oneOf: [
        { type: "object", properties: { k: { const: 1 }, v: inner }, required: ["k", "v"] },
        { type: "object", properties: { k: { const: 2 } }, required: ["k"] },
      ],
    })),
  ),
}));

/** A schema, at times with a definition that refers to itself. */
export const randomSchema = fc.oneof(
  schema,
  schema.map((value) => ({
    $defs: {
      tree: {
        type: "object",
        properties: {
          value,
          left: { $ref: "#/$defs/tree" },
          all: { items: { $ref: "#/$defs/tree" } },
        },
        required: ["value"],
      },
    },
    $ref: "#/$defs/tree",
  })),
);
