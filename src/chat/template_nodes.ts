/**
 * What the bounded interpreter needs to know of Jinja's syntax tree and values, which their package
 * does not export: narrow views, and how each kind of node uses the values below it. Computes
 * nothing and counts nothing.
 */
import type { Interpreter } from "@huggingface/jinja";

export type TemplateNode = NonNullable<Parameters<Interpreter["evaluate"]>[0]>;
export type TemplateValue = ReturnType<Interpreter["evaluate"]>;

/** The fields that some nodes have and that matter here. */
export type NodeFields = TemplateNode & {
  readonly value?: unknown;
  readonly object?: TemplateNode;
  readonly property?: TemplateNode;
  readonly computed?: boolean;
  readonly operand?: TemplateNode;
  readonly iterable?: NodeFields;
  readonly lhs?: TemplateNode;
  readonly test?: TemplateNode;
  readonly callee?: NodeFields;
  readonly filter?: NodeFields;
  readonly args?: readonly TemplateNode[];
  readonly operator?: { readonly value: string };
  readonly left?: TemplateNode;
  readonly right?: TemplateNode;
  readonly body?: readonly TemplateNode[];
  readonly alternate?: readonly TemplateNode[];
  readonly defaultBlock?: readonly TemplateNode[];
};

/**
 * How a node uses the value of a node below it:
 * - "reference": hands it on, or looks up one of its members;
 * - "items": looks at each of its items, or characters;
 * - "sorted": compares its items with each other;
 * - "text": turns it into text, whatever is inside;
 * - "argument": gives it to a filter.
 */
export type Usage = "reference" | "items" | "sorted" | "text" | "argument";

/** What `parent` does with the value of `child`; unknown cases count as "text". */
export function usageOf(child: TemplateNode, parent: NodeFields): Usage {
  switch (parent.type) {
    case "MemberExpression":
      return child === parent.object && parent.property?.type === "SliceExpression"
        ? "items"
        : "reference";
    case "For":
      if (child === parent.iterable || child === parent.iterable?.lhs) return "items";
      return child === parent.iterable?.test ? "reference" : "text";
    case "If":
      return child === parent.test ? "reference" : "text";
    case "Set":
      return child === parent.value ? "reference" : "text";
    case "BinaryExpression":
      return parent.operator?.value === "and" || parent.operator?.value === "or"
        ? "reference"
        : "text";
    case "FilterExpression":
      return child === parent.operand ? filterUsage(filterNameOf(parent)) : "argument";
    case "FilterStatement":
      return parent.filter?.args?.includes(child) ? "argument" : "text";
    case "CallExpression":
      return child === parent.callee ? "reference" : "text";
    case "ArrayLiteral":
    case "ObjectLiteral":
    case "SelectExpression":
    case "Ternary":
    case "TupleLiteral":
    case "UnaryExpression":
      return "reference";
    default:
      return "text";
  }
}

/** Nodes whose values become part of what a node writes, at once or when it is called. */
export function writtenBy({ body, alternate, defaultBlock }: NodeFields): readonly TemplateNode[] {
  return [body, alternate, defaultBlock].flatMap((block) => block ?? []);
}

const FILTER_USAGES: Readonly<Record<string, Usage>> = {
  // These look at nothing but the ends: `messages | length` stands in many a template's loop.
  default: "reference",
  first: "reference",
  last: "reference",
  length: "reference",
  list: "reference",
  safe: "reference",
  join: "text",
  string: "text",
  tojson: "text",
  dictsort: "sorted",
  sort: "sorted",
  unique: "sorted",
};

function filterUsage(name: string): Usage {
  return Object.hasOwn(FILTER_USAGES, name) ? FILTER_USAGES[name] : "items";
}

/** The filter that a FilterExpression or FilterStatement applies. */
export function filterNameOf(node: NodeFields): string {
  return String(node.filter?.value ?? node.filter?.callee?.value ?? "");
}

/** The names that a template reads or sets, and how many nodes it has. */
export function surveyTemplate(program: TemplateNode): { names: Set<string>; nodeCount: number } {
  const names = new Set<string>();
  const pending: unknown[] = [program];
  let nodeCount = 0;
  while (pending.length > 0) {
    const part = pending.pop();
    if (typeof part !== "object" || part === null) continue;
    if (part instanceof Map) {
      for (const [key, value] of part) pending.push(key, value);
    } else {
      if (!Array.isArray(part)) nodeCount += 1;
      const { type, value } = part as NodeFields;
      if (type === "Identifier" && typeof value === "string") names.add(value);
      for (const inner of Object.values(part)) pending.push(inner);
    }
  }
  return { names, nodeCount };
}

/** True for lists, tuples, mappings, keyword arguments and namespaces. */
export function isContainer(value: TemplateValue): boolean {
  return Array.isArray(value.value) || value.value instanceof Map;
}

/** The text of a StringValue. */
export function textOf(value: TemplateValue): string {
  return value.value as string;
}

/** Items of a container, characters of a text; 0 for anything else. */
export function itemCountOf(value: TemplateValue): number {
  if (Array.isArray(value.value)) return value.value.length;
  return value.value instanceof Map ? value.value.size : 0;
}

/** Keys and items of a container; a list's keys are empty. */
export function* entriesOf(
  value: TemplateValue,
): Generator<readonly [string, TemplateValue | undefined]> {
  if (Array.isArray(value.value)) {
    for (const item of value.value) yield ["", item];
  } else if (value.value instanceof Map) {
    yield* value.value;
  }
}
