/** How much a model should think, by the names of variables that templates have for it. Pure. */
import type { Body } from "../known_fields.ts";

/** Kimi K3's efforts. */
const EFFORTS: ReadonlyMap<unknown, string> = new Map([
  ...["none", "minimal", "low"].map((effort) => [effort, "low"] as const),
  ...["medium", "high"].map((effort) => [effort, "high"] as const),
  ...["xhigh", "max"].map((effort) => [effort, "max"] as const),
]);

/** Hy3's, which refuses others. */
const HY_EFFORTS: ReadonlyMap<unknown, string> = new Map([
  ...["none", "minimal"].map((effort) => [effort, "no_think"] as const),
  ...["medium", "xhigh", "max"].map((effort) => [effort, "high"] as const),
]);

/**
 * `variables` with the names that DeepSeek's templates, Granite's and Kimi K3's have; what is there
 * already stays.
 */
export function thoughtVariables(variables: Body | undefined, template = ""): Body | undefined {
  if (variables === undefined) return undefined;
  const { enable_thinking: thinking, reasoning_effort: effort } = variables;
  const known = EFFORTS.get(effort);
  return {
    ...(typeof thinking === "boolean" && { thinking }),
    ...(known !== undefined && { thinking_effort: known }),
    ...variables,
    ...(template.includes("'no_think'") && HY_EFFORTS.has(effort) && {
      reasoning_effort: HY_EFFORTS.get(effort),
    }),
  };
}
