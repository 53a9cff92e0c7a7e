/** Metadata keys to residual streams that layers mix. Looks at no tensors. */
import type { Hyperparameters } from "./hyperparameters.ts";
import type { HyperConfig } from "../types.ts";

/** More than any model has; keeps corrupt counts from asking for any memory there is. */
const STREAMS_MAX = 8;
const ROUNDS_MAX = 256;
/** What a stream takes of a block at most, where streams are mixed with one another. */
const MAGNITUDE = 2;

/**
 * Streams that a matrix mixes, made even in rounds.
 * @throws {ModelFormatError} when a key is missing or out of range.
 */
export function readMixedStreams(keys: Hyperparameters): HyperConfig {
  const of = { min: 1, max: ROUNDS_MAX };
  const rounds = keys.integer("hyper_connection.sinkhorn_iterations", of);
  return { ...readStreams(keys), rounds, magnitude: MAGNITUDE, least: 0 };
}

/**
 * Streams that nothing but blocks mixes: each keeps what it has, and takes of what they give.
 * @throws {ModelFormatError} as `readMixedStreams` does.
 */
export function readParallelStreams(keys: Hyperparameters): HyperConfig {
  const streams = readStreams(keys);
  const magnitude = keys.float("hyper_connection.magnitude", { min: 0 });
  return { ...streams, rounds: 0, magnitude, least: streams.epsilon };
}

function readStreams(keys: Hyperparameters): Pick<HyperConfig, "streamCount" | "epsilon"> {
  const key = "hyper_connection.epsilon";
  const epsilon = keys.float(key, { min: -Infinity });
  if (epsilon < 0) throw keys.wrong(key, "0 or more");
  const streamCount = keys.integer("hyper_connection.count", { min: 1, max: STREAMS_MAX });
  return { streamCount, epsilon };
}
