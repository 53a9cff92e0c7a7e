/**
 * The Jinja interpreter on a leash. A template comes out of a model file, so it may be hostile, and
 * nothing can interrupt a thread that evaluates one: every step is paid for, in advance where a
 * single operation can multiply its input. Knows nothing of chats or of where templates come from.
 *
 * One step is about a microsecond. Each evaluated node costs one, and its value costs more where
 * the node above walks over it. The prices are measured, for @huggingface/jinja 0.5.11.
 */
import { type Environment, Interpreter } from "@huggingface/jinja";
import {
  applyExtraFilter,
  asWritten,
  EXTRA_OPERATORS,
  extraMethod,
  isLoopedOver,
  isMissing,
  listOf,
  missingAmong,
  numberedEntries,
  operandsOf,
  undefinedValue,
  withRawBreakers,
} from "./template_extras.ts";
import {
  entriesOf,
  filterNameOf,
  isContainer,
  itemCountOf,
  type NodeFields,
  type TemplateNode,
  type TemplateValue,
  textOf,
  usageOf,
  writtenBy,
} from "./template_nodes.ts";

/** What one rendering may use at most. */
export interface RenderLimits {
  readonly steps: number;
  /** UTF-16 units of any one value as text, the output included. */
  readonly textChars: number;
  /** Nodes of the template: what the interpreter scans each time it declares a macro. */
  readonly templateNodes: number;
}

/** The template asked for more than its limits allow. */
export class TemplateLimitError extends Error {
  override readonly name = "TemplateLimitError";
}

/** Nested evaluations: real templates stay under 60, the stack holds more than 1,000. */
const DEPTH_MAX = 400;
/** Nesting of lists and mappings. */
const VALUE_DEPTH_MAX = 100;
/** What an item of a container weighs, in characters: printing one takes about as long. */
const ITEM_CHARS = 32;

const TEXT_CHARS_PER_STEP = 128;
const WALKED_CHARS_PER_STEP = 8;
const ITEMS_WEIGHED_PER_STEP = 16;
const NODES_SCANNED_PER_STEP = 4;
const STEPS_PER_ITEM = 2;
const STEPS_PER_SORTED_ITEM = 16;
const STEPS_PER_JUMP = 8;

/** What is between brackets and needs no evaluation to be known. */
const LITERALS: ReadonlySet<string> = new Set([
  "IntegerLiteral",
  "StringLiteral",
  "SliceExpression",
]);

/** A node under evaluation, with what the nodes below it have come to so far. */
interface Frame {
  readonly node: NodeFields;
  /** What a member is taken of, or a filter applied to. */
  operand: TemplateValue | null;
  /** A filter's arguments, lists of them spread. */
  args: TemplateValue[];
}

/** Stands for a node whose value is known: what was evaluated once is not evaluated again. */
interface KnownNode {
  readonly type: "Known";
  readonly known: TemplateValue;
}

/** Evaluates a parsed template, once. */
export class BoundedInterpreter extends Interpreter {
  readonly #limits: RenderLimits;
  readonly #guardedMethods = new WeakSet<TemplateValue>();
  /** Nodes whose values are written, as far as blocks have been seen. */
  readonly #written = new WeakSet<TemplateNode>();
  #weights = new WeakMap<TemplateValue, number>();
  /** Mappings that were written with numbers as keys. */
  readonly #numbered = new WeakSet<TemplateValue>();
  #hasNumbered = false;
  #stepsLeft: number;
  #depth = 0;
  #frame: Frame | null = null;

  constructor(environment: Environment, limits: RenderLimits) {
    super(environment);
    this.#limits = limits;
    this.#stepsLeft = limits.steps;
  }

  /** @throws {TemplateLimitError} when the evaluation would go beyond a limit. */
  override evaluate(node: TemplateNode | undefined, environment: Environment): TemplateValue {
    if (!node) return super.evaluate(node, environment);
    if (isKnown(node)) return node.known;
    if (this.#depth === DEPTH_MAX) throw new TemplateLimitError("it nests or recurses too deep");
    this.#spend(this.#priceOf(node));
    const parent = this.#frame;
    const frame: Frame = { node, operand: null, args: [] };
    for (const each of writtenBy(node)) this.#written.add(each);
    this.#frame = frame;
    this.#depth += 1;
    let value: TemplateValue;
    try {
      value = this.#evaluateExtra(node, environment) ?? super.evaluate(node, environment);
      if (value?.type === "UndefinedValue") value = this.#methodOf(frame) ?? value;
    } finally {
      this.#frame = parent;
      this.#depth -= 1;
    }
    if (value?.type === "FunctionValue" && frame.operand) this.#guardMethod(value, frame.operand);
    if (parent && value && isMissing(value) && isLoopedOver(node, parent.node)) value = listOf([]);
    if (value) this.#payForUse(value, node, parent);
    return value && this.#written.has(node) ? asWritten(value) : value;
  }

  /** What the package would refuse; null: it does this node. */
  #evaluateExtra(node: TemplateNode, environment: Environment): TemplateValue | null {
    const fields: NodeFields = node;
    const evaluateAs = (other: unknown) => super.evaluate(other as TemplateNode, environment);
    switch (node.type) {
      case "TupleLiteral": // loops do not take tuples apart
        return evaluateAs({ ...node, type: "ArrayLiteral" });
      case "ObjectLiteral": {
        const entries = [...fields.value as Map<NodeFields, TemplateNode>];
        if (!entries.some(([key]) => key.type === "IntegerLiteral")) return null;
        const texts = entries.map(([key, item]) =>
          [{ type: "StringLiteral", value: String(key.value) }, item] as const
        );
        const mapping = evaluateAs({ ...node, value: new Map(texts) });
        this.#numbered.add(mapping);
        this.#hasNumbered = true;
        return mapping;
      }
      case "FilterExpression": {
        const operand = this.evaluate(fields.operand, environment);
        const name = filterNameOf(fields);
        if (name === "dictsort" && this.#numbered.has(operand)) return numberedEntries(operand);
        const value = applyExtraFilter(name, operand) ??
          evaluateAs({ ...node, operand: known(operand) });
        return name === "tojson" ? withRawBreakers(value) : value;
      }
      case "FilterStatement":
        return filterNameOf(fields) === "tojson" ? withRawBreakers(evaluateAs(node)) : null;
      case "BinaryExpression": {
        const operator = fields.operator?.value;
        if (!EXTRA_OPERATORS.has(operator)) return null;
        const left = this.evaluate(fields.left, environment);
        const right = this.evaluate(fields.right, environment);
        const [a, b] = operandsOf(operator, left, right);
        return missingAmong(operator, a, b) ??
          evaluateAs({ ...node, left: known(a), right: known(b) });
      }
      case "MemberExpression": {
        const { computed, property: key } = fields;
        if (computed && !LITERALS.has(key?.type ?? "")) {
          // A member that has no name is not there.
          const object = this.evaluate(fields.object, environment);
          const name = this.evaluate(key, environment);
          if (isMissing(name) && isContainer(object)) return undefinedValue();
          return evaluateAs({ ...node, object: known(object), property: known(name) });
        }
        if (!this.#hasNumbered || fields.property?.type !== "IntegerLiteral") return null;
        const object = this.evaluate(fields.object, environment);
        const { value } = fields.property as NodeFields;
        const property = this.#numbered.has(object)
          ? { type: "StringLiteral", value: String(value) }
          : fields.property;
        return evaluateAs({ ...node, object: known(object), property });
      }
      default:
        return null;
    }
  }

  /** A method of Python's that the package does not have. */
  #methodOf({ node, operand }: Frame): TemplateValue | null {
    if (node.type !== "MemberExpression" || operand === null) return null;
    const { value } = node.property as NodeFields;
    if (typeof value !== "string") return null;
    return extraMethod(operand, value, {
      payForText: (count, chars) => this.#checkProduct(count, chars),
      onChange: () => this.#weights = new WeakMap(),
    });
  }

  #spend(steps: number): void {
    this.#stepsLeft -= steps;
    if (this.#stepsLeft < 0) {
      throw new TemplateLimitError(`it takes more than ${this.#limits.steps} steps`);
    }
  }

  #priceOf(node: TemplateNode): number {
    switch (node.type) {
      case "Macro":
      case "CallStatement":
        return 1 + this.#limits.templateNodes / NODES_SCANNED_PER_STEP;
      case "Break":
      case "Continue":
        return STEPS_PER_JUMP;
      default:
        return 1;
    }
  }

  #payForUse(value: TemplateValue, node: TemplateNode, parent: Frame | null): void {
    const chars = this.#weigh(value);
    if (chars > this.#limits.textChars) this.#refuseText();
    const usage = parent ? usageOf(node, parent.node) : "text";
    if (parent && (node === parent.node.operand || node === parent.node.object)) {
      parent.operand = value;
    }
    switch (usage) {
      case "reference":
        return;
      case "argument":
        return this.#checkFilterArgument(parent!, value);
      case "items":
        return this.#spend(
          value.type === "StringValue"
            ? chars / WALKED_CHARS_PER_STEP
            : itemCountOf(value) * STEPS_PER_ITEM,
        );
      case "sorted":
        return this.#spend(
          itemCountOf(value) * STEPS_PER_SORTED_ITEM + chars / WALKED_CHARS_PER_STEP,
        );
      case "text":
        return this.#spend(chars / TEXT_CHARS_PER_STEP);
    }
  }

  /** Characters of the value as text, what occurs twice in it counted twice. */
  #weigh(value: TemplateValue): number {
    if (value.type === "StringValue") return textOf(value).length;
    return isContainer(value) ? this.#weighContainer(value, 0).chars : 0;
  }

  /** `fixed`: no namespace inside, so that the weight cannot change and need not be taken again. */
  #weighContainer(value: TemplateValue, depth: number): { chars: number; fixed: boolean } {
    const known = this.#weights.get(value);
    if (known !== undefined) return { chars: known, fixed: true };
    if (depth === VALUE_DEPTH_MAX) throw new TemplateLimitError("its values nest too deep");
    this.#spend(itemCountOf(value) / ITEMS_WEIGHED_PER_STEP);
    let chars = ITEM_CHARS;
    let fixed = value.type !== "NamespaceValue";
    for (const [key, item] of entriesOf(value)) {
      chars += key.length + ITEM_CHARS;
      if (item?.type === "StringValue") chars += textOf(item).length;
      else if (item && isContainer(item)) {
        const inner = this.#weighContainer(item, depth + 1);
        chars += inner.chars;
        fixed &&= inner.fixed;
      }
    }
    if (fixed) this.#weights.set(value, chars);
    return { chars, fixed };
  }

  /** Makes a method of a text or mapping (`split`, `replace`, `items`) pay at every call. */
  #guardMethod(method: TemplateValue, receiver: TemplateValue): void {
    if (this.#guardedMethods.has(method)) return;
    this.#guardedMethods.add(method);
    const steps = 1 + itemCountOf(receiver) * STEPS_PER_SORTED_ITEM +
      this.#weigh(receiver) / WALKED_CHARS_PER_STEP;
    const isReplace = receiver.type === "StringValue" &&
      receiver.builtins.get("replace") === method;
    const target = method as { value: Method };
    const call = target.value;
    target.value = (args, scope) => {
      this.#spend(steps);
      if (isReplace) this.#checkReplacement(receiver, args);
      return call(args, scope);
    };
  }

  /** Filters learn their arguments one by one, all of them before they are applied. */
  #checkFilterArgument(frame: Frame, value: TemplateValue): void {
    if (isContainer(value)) {
      for (const [, item] of entriesOf(value)) if (item) frame.args.push(item);
    } else frame.args.push(value);
    const { operand, args } = frame;
    const longest = Math.max(0, ...args.map(charsOf));
    const widest = args.reduce((width, arg) => Math.max(width, numberOf(arg)), 0);
    const name = filterNameOf(frame.node);
    if (!MULTIPLYING_FILTERS.has(name)) return;
    // What a {% filter %} block has rendered is not seen here.
    if (!operand) throw new TemplateLimitError(`it has a filter block with "${name}"`);
    switch (name) {
      case "join":
        return this.#checkProduct(Math.max(itemCountOf(operand), charsOf(operand)), longest);
      case "replace":
        return this.#checkReplacement(operand, args);
      case "indent":
        return this.#checkProduct(
          operand.type === "StringValue" ? textOf(operand).split("\n").length : 0,
          widest,
        );
      case "tojson":
        // An item, 32 characters by weight, is indented by up to 100 levels and has two separators.
        return this.#checkProduct(this.#weigh(operand), 1 + 4 * widest + longest);
    }
  }

  #checkReplacement(text: TemplateValue, [from, to]: readonly TemplateValue[]): void {
    if (!from || !to) return;
    this.#checkProduct(charsOf(text) / Math.max(1, charsOf(from)) + 1, charsOf(to));
  }

  /** Pays for a text of `count` times `chars` that is about to be made. */
  #checkProduct(count: number, chars: number): void {
    if (count * chars > this.#limits.textChars) this.#refuseText();
    this.#spend(count * chars / TEXT_CHARS_PER_STEP);
  }

  #refuseText(): never {
    throw new TemplateLimitError(
      `it makes a text of more than ${this.#limits.textChars} characters`,
    );
  }
}

function known(value: TemplateValue): KnownNode {
  return { type: "Known", known: value };
}

function isKnown(node: unknown): node is KnownNode {
  return (node as KnownNode).type === "Known";
}

type Method = (args: TemplateValue[], scope: Environment) => TemplateValue;

const MULTIPLYING_FILTERS: ReadonlySet<string> = new Set(["join", "replace", "indent", "tojson"]);

function charsOf(value: TemplateValue): number {
  return value.type === "StringValue" ? textOf(value).length : 0;
}

function numberOf(value: TemplateValue): number {
  return typeof value.value === "number" ? value.value : 0;
}
