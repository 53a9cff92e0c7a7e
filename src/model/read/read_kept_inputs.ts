/**
 * Metadata keys to how layers read the stream as it was before (Kimi K3), and to how far its
 * neurons go. Looks at no tensors.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { FeedForwardConfig, ModelConfig } from "../types.ts";

const PERIOD = "attn_res.block_size";

/** More would be more memory than they are worth; none is known to have nearly as many. */
const STREAMS_MAX = 64;

/** What says how streams are mixed. */
const NOT_MIXED = { rounds: 0, epsilon: 0, magnitude: 0, least: 0 };

/**
 * How often layers keep what they read; nothing: never.
 * @throws {ModelFormatError} when the key is missing or out of range.
 * @throws {UnsupportedModelError} when too many layers do.
 */
export function readKeptInputs(
  keys: Hyperparameters,
  blockCount: number,
): Pick<ModelConfig, "hyper"> {
  const period = keys.integer(PERIOD, { min: 0 });
  if (period === 0) return {};
  const streamCount = Math.ceil(blockCount / period) + 1;
  if (streamCount > STREAMS_MAX) {
    throw new UnsupportedModelError(
      `Cannot run this model: its layers read ${streamCount} states of the stream, this version ` +
        `at most ${STREAMS_MAX}: use another model`,
    );
  }
  return { hyper: { ...NOT_MIXED, streamCount, keepsEvery: period } };
}

/**
 * What caps gates and ups of its neurons.
 * @throws {ModelFormatError} when a key is missing or out of range.
 */
export function readSoftCaps(keys: Hyperparameters): Pick<FeedForwardConfig, "softCaps"> {
  const gate = keys.float("activation.situ_beta", { min: -Infinity });
  if (gate <= 0) throw keys.wrong("activation.situ_beta", "more than 0");
  const up = keys.float("activation.situ_linear_beta", { min: -Infinity });
  return { softCaps: { gate, up: Math.max(0, up) } };
}
