/** The flags of models that fill in texts: how much at a time, and where first. */
import type { Command } from "commander";
import {
  FILL_BLOCK_MAX,
  FILL_DEFAULTS,
  FILL_ORDERS,
  type FillOrder,
  type LoadOptions,
} from "../llm/mod.ts";
import { oneOf, wholeNumber } from "./option_values.ts";

/** What `addFillOptions` parses. */
export interface FillFlags {
  readonly fillBlock?: number;
  readonly fillTokens?: number;
  readonly fillOrder?: FillOrder;
}

/** Adds the flags of every verb that lets a model answer. */
export function addFillOptions(verb: Command): Command {
  const { blockTokens, stepTokens, order } = FILL_DEFAULTS;
  const count = wholeNumber({ min: 1, max: FILL_BLOCK_MAX });
  return verb
    .option(
      "--fill-block <n>",
      "of models that fill in texts (LLaDA, Dream, RND1): tokens of a block, filled in one after " +
        `another (default: ${blockTokens})`,
      count,
    )
    .option(
      "--fill-tokens <n>",
      `of the same: tokens that a step fills in (default: ${stepTokens}); more are as many times ` +
        "as fast, and chosen worse",
      count,
    )
    .option(
      "--fill-order <by>",
      `of the same: which places of a block are first, one of ${FILL_ORDERS.join(", ")} ` +
        `(default: ${order})`,
      oneOf(FILL_ORDERS),
    );
}

/** `LoadOptions` of the flags. */
export function fillOf({ fillBlock, fillTokens, fillOrder }: FillFlags): Pick<LoadOptions, "fill"> {
  return { fill: { blockTokens: fillBlock, stepTokens: fillTokens, order: fillOrder } };
}
