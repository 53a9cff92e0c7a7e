/**
 * Objects: members in the order in which the schema names them, those that are not required left
 * out or not, and others behind them where the schema says that there may be others.
 */
import { isJsonObject } from "../../base/json_object.ts";
import {
  choice,
  type Expression,
  nothing,
  optional,
  repeat,
  sequence,
  text,
} from "../expression.ts";
import {
  at,
  countOf,
  isAnnotation,
  type SchemaContext,
  schemaError,
  type SchemaObject,
  textsOf,
  wordOf,
} from "./schema_types.ts";

interface Member {
  readonly pair: Expression;
  readonly isRequired: boolean;
}

/** What an object of the schema looks like. */
export function convertObject(
  context: SchemaContext,
  schema: SchemaObject,
  path: string,
): Expression {
  const { json } = context;
  checkNames(wordOf(schema, "propertyNames"), at(path, "propertyNames"));
  const members = readMembers(context, schema, path);
  const others = wordOf(schema, "additionalProperties");
  const properties = wordOf(schema, "properties");
  const names = [
    ...isJsonObject(properties) ? Object.keys(properties) : [],
    ...requiredOf(schema, path),
  ];
  const isBounded = names.length > 0 || others !== undefined ||
    wordOf(schema, "maxProperties") !== undefined;
  if (!isBounded && countOf(schema, "minProperties", { path, otherwise: 0 }) === 0) {
    return json.object;
  }
  // Other members are allowed by most schemas that name some, and meant by hardly any.
  const mayHaveOthers = others !== false && (names.length === 0 || others !== undefined);
  const { fitting, othersMax } = fitCounts(schema, path, { members, mayHaveOthers });
  const value = mayHaveOthers
    ? context.convert(others ?? true, at(path, "additionalProperties"))
    : null;
  const other = value && json.shared(
    `${path}.*`,
    json.member(names.length === 0 ? json.string : json.stringExcept(names), value),
  );
  const comma = sequence(text(","), json.space);
  // From the last member to the first: what follows when something, or nothing, came before.
  let behind = other === null ? nothing() : repeat(sequence(comma, other), 0, othersMax);
  let first: Expression = other === null || othersMax === 0
    ? nothing()
    : optional(sequence(other, repeat(sequence(comma, other), 0, othersMax - 1)));
  for (const { pair, isRequired } of fitting.toReversed()) {
    const rest = json.shared(`${path}, rest`, behind);
    const start = json.shared(`${path}, first`, first);
    const next = sequence(comma, pair, rest);
    behind = isRequired ? next : choice(next, rest);
    first = isRequired ? sequence(pair, rest) : choice(sequence(pair, rest), start);
  }
  return sequence(text("{"), json.space, first, text("}"));
}

/** Names are texts; zod says so of every record. */
function checkNames(of: unknown, path: string): void {
  if (of === undefined || of === true) return;
  const isAnyText = isJsonObject(of) &&
    Object.entries(of).every(([word, value]) =>
      isAnnotation(word) || word === "type" && value === "string"
    );
  if (!isAnyText) throw schemaError(path, 'only {"type": "string"} is supported: leave it out');
}

function readMembers(context: SchemaContext, schema: SchemaObject, path: string): Member[] {
  const { json } = context;
  const properties = wordOf(schema, "properties") ?? {};
  if (!isJsonObject(properties)) {
    throw schemaError(at(path, "properties"), "it is no object: correct it");
  }
  const required = new Set(requiredOf(schema, path));
  const others = wordOf(schema, "additionalProperties");
  const members: Member[] = [];
  const add = (name: string, of: unknown, where: string) => {
    const isRequired = required.has(name);
    if (of === false) {
      if (!isRequired) return;
      throw schemaError(where, `"${name}" is required and not allowed: take out one of the two`);
    }
    const value = context.convert(of, where);
    const pair = json.member(text(JSON.stringify(name)), value);
    members.push({ pair: json.shared(where, pair), isRequired });
  };
  for (const [name, of] of Object.entries(properties)) {
    add(name, of, at(path, "properties", name));
  }
  for (const name of required) {
    if (!Object.hasOwn(properties, name)) add(name, others ?? true, at(path, "required", name));
  }
  return members;
}

function requiredOf(schema: SchemaObject, path: string): readonly string[] {
  const required = wordOf(schema, "required");
  return required === undefined ? [] : textsOf(required, at(path, "required"));
}

/** Members that there is room for, and how many others. @throws where the counts are not met. */
function fitCounts(
  schema: SchemaObject,
  path: string,
  { members, mayHaveOthers }: { members: readonly Member[]; mayHaveOthers: boolean },
): { fitting: readonly Member[]; othersMax: number } {
  const min = countOf(schema, "minProperties", { path, otherwise: 0 });
  const max = countOf(schema, "maxProperties", { path, otherwise: Infinity });
  const requiredCount = members.filter((member) => member.isRequired).length;
  if (min > requiredCount) {
    throw schemaError(at(path, "minProperties"), "only required members are counted: name them");
  }
  if (max < requiredCount) {
    throw schemaError(at(path, "maxProperties"), "more members are required: correct it");
  }
  // Which of the optional ones come is not counted: as many as there is room for may come.
  let room = max - requiredCount;
  const fitting = members.filter(({ isRequired }) => isRequired || --room >= 0);
  return { fitting, othersMax: mayHaveOthers ? max - fitting.length : 0 };
}
