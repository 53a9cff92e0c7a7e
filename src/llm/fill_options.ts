/**
 * How models that fill in texts answer, where nobody says, and what they cannot be asked for. Knows
 * requests as models get them.
 */
import { RequestError } from "../base/errors.ts";
import {
  type EngineRequest,
  FILL_DEFAULTS,
  FILL_ORDERS,
  type FillOrder,
  type FillSettings,
} from "../engine/types.ts";
import { FILL_BLOCK_MAX } from "../model/fill_types.ts";
import type { ModelConfig } from "../model/types.ts";
import type { GenerateRequest } from "./types.ts";

export { FILL_BLOCK_MAX, FILL_DEFAULTS, FILL_ORDERS, type FillOrder };

/** How a model that fills in texts (LLaDA, Dream) answers; others do not look at it. */
export interface FillOptions {
  /** Tokens of a block: blocks are filled in one after another. Default 32, at most 64. */
  readonly blockTokens?: number;
  /** Tokens that a step fills in. Default 1; more are as many times as fast, and chosen worse. */
  readonly stepTokens?: number;
  /**
   * Which places of a block are first: where the chosen token is likeliest ("confidence", default),
   * where the fewest others are ("entropy"), where the second is furthest behind ("margin"), or any
   * ("random").
   */
  readonly order?: FillOrder;
}

/** Tokens of an answer where nobody says: all of them are there as masks from the first step on. */
export const FILL_ANSWER_TOKENS = 256;

/** The same of a model; undefined: as many as there is room for. */
export function answerTokensOf({ fill }: Pick<ModelConfig, "fill">): number | undefined {
  return fill === undefined ? undefined : FILL_ANSWER_TOKENS;
}

/** @throws {RangeError} for a number out of range, or an order that is none. */
export function fillSettings(options: FillOptions = {}): FillSettings {
  const { blockTokens, stepTokens, order } = { ...FILL_DEFAULTS, ...definedOnly(options) };
  for (const [name, value] of Object.entries({ blockTokens, stepTokens })) {
    if (Number.isInteger(value) && value >= 1 && value <= FILL_BLOCK_MAX) continue;
    throw new RangeError(
      `Cannot load a model with fill.${name} ${value}: a whole number from 1 to ` +
        `${FILL_BLOCK_MAX} is needed`,
    );
  }
  if (FILL_ORDERS.includes(order)) return { blockTokens, stepTokens, order };
  throw new RangeError(
    `Cannot load a model with fill.order "${order}": ${FILL_ORDERS.join(", ")} are known`,
  );
}

function definedOnly(options: FillOptions): FillOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** What of a request to such a model is otherwise. */
export type Filled = Pick<EngineRequest, "fill"> & Pick<GenerateRequest, "maxTokens">;

/**
 * How the engine answers a request, and by how many tokens at most: of a model that fills in, all
 * of them are there from the first step on, so that they are few where nobody says.
 * @throws {RequestError} 400 for what has no meaning where words come in another order than they
 *   are read in.
 */
export function fillingOf(
  { fill, architecture }: Pick<ModelConfig, "fill" | "architecture">,
  request: GenerateRequest,
  options: FillOptions = {},
): Filled {
  const { grammar, prelude, logprobs, sampling = {}, maxTokens = Infinity } = request;
  if (fill === undefined) return { maxTokens };
  const asked = grammar !== undefined || prelude !== undefined
    ? "follow a grammar, a schema or a function's form"
    : logprobs !== undefined
    ? "give log probabilities"
    : (sampling.dryMultiplier ?? 0) !== 0
    ? "penalise repetitions (dry)"
    : (sampling.mirostat ?? 0) !== 0
    ? "sample by mirostat"
    : (sampling.adaptiveTarget ?? -1) >= 0
    ? "sample by adaptive-p"
    : null;
  if (asked === null) {
    return {
      fill: fillSettings(options),
      maxTokens: maxTokens === Infinity ? answerTokensOf({ fill }) : maxTokens,
    };
  }
  throw new RequestError(
    `Cannot ${asked} with this model: ${architecture} fills in a text, whose words come in any ` +
      "order: leave it out, or take another model",
    { status: 400, code: "unsupported" },
  );
}
