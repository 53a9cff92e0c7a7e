/**
 * Namespaces of functions (Codex has them): a model sees their functions under longer names, a
 * client gets calls of them as it named them.
 */
import { fieldError } from "../http_errors.ts";
import type { ToolFunction } from "../tools/tool_plan.ts";

/** A function as its client knows it. */
export interface OwnName {
  readonly namespace: string;
  readonly name: string;
}

interface Namespace {
  readonly type: "namespace";
  readonly name: string;
  readonly tools: readonly ToolFunction[];
}

type Tool = ToolFunction & { readonly type: "function" } | Namespace | { readonly type: string };

/** As long as names of functions may be. */
const NAME_MAX = 128;

/** All functions as a model sees them, and how their client knows those of namespaces. */
export function flattened(tools: readonly Tool[]): {
  readonly functions: readonly ToolFunction[];
  readonly ownNames: ReadonlyMap<string, OwnName>;
} {
  const functions: ToolFunction[] = [];
  const ownNames = new Map<string, OwnName>();
  for (const [index, tool] of tools.entries()) {
    if (isFunction(tool)) functions.push(tool);
    else if (isNamespace(tool)) {
      for (const each of tool.tools) {
        const name = nameWithin(tool.name, each.name);
        if (name.length > NAME_MAX) {
          const what = `"${name}" is longer than ${NAME_MAX} characters: shorten it`;
          throw fieldError(`tools[${index}]`, what);
        }
        functions.push({ ...each, name });
        ownNames.set(name, { namespace: tool.name, name: each.name });
      }
    }
  }
  return { functions, ownNames };
}

/** The name that a model sees. */
export function nameWithin(namespace: string | undefined, name: string): string {
  if (namespace === undefined) return name;
  return namespace.endsWith("__") ? namespace + name : `${namespace}__${name}`;
}

function isFunction(tool: Tool): tool is ToolFunction & { readonly type: "function" } {
  return tool.type === "function";
}

function isNamespace(tool: Tool): tool is Namespace {
  return tool.type === "namespace";
}
