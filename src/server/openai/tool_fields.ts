/** The fields of functions that a model may call. */
import { z } from "zod";
import { fieldError } from "../http_errors.ts";
import { anyObject, listOf, optional } from "../parse_fields.ts";
import type { ToolFunction, ToolRequest } from "../tools/tool_plan.ts";

/** As many as OpenAI takes. */
const TOOLS_MAX = 128;

/** Some clients put dots, colons and slashes into names; OpenAI does not. */
export const functionName = z.string()
  .regex(/^[\w.:/-]{1,128}$/, "expected up to 128 letters, digits or _ . : / -");

const ONLY_FUNCTIONS = 'this server knows tools of type "function" only';

export const functionFields = {
  name: functionName,
  description: optional(z.string()),
  parameters: optional(anyObject),
  strict: optional(z.boolean()),
};

const tool = z.object({
  type: z.literal("function", ONLY_FUNCTIONS),
  function: z.object(functionFields),
});

const namedTool = z.object({
  type: z.literal("function", ONLY_FUNCTIONS),
  function: z.object({ name: functionName }),
});

/** The fields, as they are named in chats. */
export const toolFields = {
  tools: optional(listOf(tool, { max: TOOLS_MAX })),
  tool_choice: optional(z.union([
    z.enum(["none", "auto", "required"]),
    namedTool,
    z.object({
      type: z.literal("allowed_tools"),
      allowed_tools: z.object({
        mode: z.enum(["auto", "required"]),
        tools: listOf(namedTool, { min: 1, max: TOOLS_MAX }),
      }),
    }),
  ], `expected "none", "auto", "required", a function or allowed_tools`)),
  parallel_tool_calls: optional(z.boolean()),
};

/** What a client may choose, whatever its wire. */
export type ToolChoice =
  | "none"
  | "auto"
  | "required"
  | { readonly mode: "auto" | "required"; readonly names: readonly string[] };

/** @throws {RequestError} 400 when the choice is of functions that are not there. */
export function toToolRequest(
  fields: z.infer<z.ZodObject<typeof toolFields>>,
): ToolRequest | null {
  const { tools, tool_choice: choice, parallel_tool_calls: isParallel = true } = fields;
  const functions = (tools ?? []).map((each) => each.function);
  return chooseTools(functions, choiceOf(choice), isParallel);
}

function choiceOf(
  choice: z.infer<z.ZodObject<typeof toolFields>>["tool_choice"],
): ToolChoice | undefined {
  if (typeof choice !== "object") return choice;
  if (choice.type === "function") return { mode: "required", names: [choice.function.name] };
  const { mode, tools } = choice.allowed_tools;
  return { mode, names: tools.map((each) => each.function.name) };
}

/** Of all functions, those that may be called now; null: none. */
export function chooseTools(
  tools: readonly ToolFunction[],
  choice: ToolChoice | undefined,
  isParallel: boolean,
): ToolRequest | null {
  const names = new Set<string>();
  for (const [index, { name }] of tools.entries()) {
    if (names.has(name)) throw fieldError(`tools[${index}]`, `Two tools are named "${name}"`);
    names.add(name);
  }
  const functions = tools.map(withArguments);
  if (choice === "none") return null;
  if (typeof choice === "object") {
    const missing = choice.names.find((name) => !names.has(name));
    if (missing !== undefined) {
      throw fieldError(
        "tool_choice",
        `"tool_choice" names "${missing}": "tools" has no such function`,
      );
    }
    const chosen = functions.filter(({ name }) => choice.names.includes(name));
    return { functions: chosen, mode: choice.mode, isParallel };
  }
  if (functions.length > 0) return { functions, mode: choice ?? "auto", isParallel };
  if (choice === "required") throw fieldError("tool_choice", `"tool_choice" needs "tools"`);
  return null;
}

/** What says what kind of value fits, beside its type. */
const KINDS = ["$ref", "anyOf", "oneOf", "allOf", "const", "enum"];

/**
 * Arguments are an object, whether the schema says so or leaves it open.
 * @throws {RequestError} 400 where it says otherwise.
 */
function withArguments(each: ToolFunction, index: number): ToolFunction {
  const { name, parameters } = each;
  // To OpenAI's API who leaves them out says that there are none.
  if (parameters === undefined) return { ...each, parameters: { type: "object", properties: {} } };
  const { type } = parameters;
  if (type === "object") return each;
  if (type == null) {
    const isOpen = !KINDS.some((key) => Object.hasOwn(parameters, key));
    return isOpen ? { ...each, parameters: { ...parameters, type: "object" } } : each;
  }
  const isObject = Array.isArray(type) && type.includes("object");
  if (isObject) return { ...each, parameters: { ...parameters, type: "object" } };
  throw fieldError(
    `tools[${index}]`,
    `The parameters of "${name}" must be of type "object", not ${
      JSON.stringify(type).slice(0, 80)
    }`,
  );
}
