/**
 * Whether schemas exclude each other, so that a value that fits one fits exactly one: what `oneOf`
 * asks for. Says no where it is not sure.
 */
import { isJsonObject } from "../../base/json_object.ts";
import {
  canonical,
  type Schema,
  type SchemaObject,
  type TypeName,
  typeOfValue,
  typesOf,
  wordOf,
} from "./schema_types.ts";

const DEPTH_MAX = 4;

/** Finds what a reference stands for. */
export type Resolve = (schema: unknown) => Schema | null;

/** Two of the schemas that may both fit a value, by index; null when none do. */
export function findOverlap(
  schemas: readonly unknown[],
  resolve: Resolve,
): readonly [number, number] | null {
  const all = schemas.map(resolve);
  for (let i = 0; i < all.length; i++) {
    for (let j = i + 1; j < all.length; j++) {
      if (!areApart(all[i], all[j], resolve, 0)) return [i, j];
    }
  }
  return null;
}

function areApart(a: Schema | null, b: Schema | null, resolve: Resolve, depth: number): boolean {
  if (a === null || b === null || depth > DEPTH_MAX) return false;
  if (a === false || b === false) return true;
  if (a === true || b === true) return false;
  const valuesA = valuesOf(a);
  const valuesB = valuesOf(b);
  if (valuesA !== null && valuesB !== null) {
    const known = new Set(valuesA.map(canonical));
    return !valuesB.some((value) => known.has(canonical(value)));
  }
  const typesA = kindsOf(a, valuesA);
  const typesB = kindsOf(b, valuesB);
  if (typesA === null || typesB === null) return false;
  const shared = typesA.filter((type) => typesB.includes(type));
  if (shared.length === 0) return true;
  return shared.every((type) => type === "object") && differByMember(a, b, resolve, depth);
}

/** Whether some member that both require cannot be the same in both. */
function differByMember(
  a: SchemaObject,
  b: SchemaObject,
  resolve: Resolve,
  depth: number,
): boolean {
  const membersA = wordOf(a, "properties");
  const membersB = wordOf(b, "properties");
  const requiredA = wordOf(a, "required");
  const requiredB = wordOf(b, "required");
  if (!isJsonObject(membersA) || !isJsonObject(membersB)) return false;
  if (!Array.isArray(requiredA) || !Array.isArray(requiredB)) return false;
  return requiredA.some((name) =>
    requiredB.includes(name) && Object.hasOwn(membersA, name) && Object.hasOwn(membersB, name) &&
    areApart(resolve(membersA[name]), resolve(membersB[name]), resolve, depth + 1)
  );
}

function valuesOf(schema: SchemaObject): readonly unknown[] | null {
  if (Object.hasOwn(schema, "const")) return [schema.const];
  const values = wordOf(schema, "enum");
  return Array.isArray(values) ? values : null;
}

/** Types that values may have, all numbers as one; null: not known. */
function kindsOf(
  schema: SchemaObject,
  values: readonly unknown[] | null,
): readonly TypeName[] | null {
  const types = values?.map(typeOfValue) ?? typesOf(schema, "$");
  return types && types.map((type) => type === "integer" ? "number" : type);
}
