/**
 * Layers that are used several times: metadata keys to the order in which a file's blocks are
 * walked. Reads no tensors.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Family } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { LayerConfig } from "../types.ts";

/** More layers than any model walks: each has keys and values of its own. */
const WALKED_MAX = 1024;

/** What of a walked layer is not as in a walk of each block once. */
export type Repeat = Pick<LayerConfig, "block" | "passEnd">;

/**
 * By walked layer; null: each block is walked once.
 * @param blockCount as the file says it
 * @throws {ModelFormatError} when keys are missing, out of range or contradict each other.
 * @throws {UnsupportedModelError} when prompts are to be read in both directions.
 */
export function readRepeats(
  keys: Hyperparameters,
  { repeats }: Family,
  blockCount: number,
): readonly Repeat[] | null {
  if (repeats === null) return null;
  return repeats === "loops" ? readLoops(keys, blockCount) : readCycles(keys, blockCount);
}

/** All blocks several times; what a pass gives is normalised for the next one. */
function readLoops(keys: Hyperparameters, blockCount: number): readonly Repeat[] | null {
  const max = Math.floor(WALKED_MAX / blockCount);
  const loops = keys.integer("num_loops", { min: 1, max, absent: 1 });
  if (loops === 1) return null;
  const isNormalised = !keys.flag("skip_loop_final_norm", false);
  return Array.from({ length: loops * blockCount }, (_, index): Repeat => {
    const block = index % blockCount;
    const endsPass = block === blockCount - 1 && index < loops * blockCount - 1;
    return { block, ...endsPass && isNormalised && { passEnd: { stream: null } } };
  });
}

/**
 * Low blocks, some passes of them, then a pass of high ones, and all that some times. The first
 * half of the blocks are low ones. A file counts its layers as they are walked.
 */
function readCycles(keys: Hyperparameters, walkedCount: number): readonly Repeat[] {
  if (keys.flag("hrm.prefix_lm", false)) {
    throw new UnsupportedModelError(
      "Cannot run this model: its prompts are read in both directions, which this version does " +
        "not compute: use another model",
    );
  }
  const range = { min: 1, max: WALKED_MAX };
  const stack = keys.integer("hrm.layers_per_stack", range);
  const highCycles = keys.integer("hrm.h_cycles", range);
  const lowCycles = keys.integer("hrm.l_cycles", range);
  if (stack * highCycles * (lowCycles + 1) !== walkedCount) {
    throw keys.wrong("block_count", `${stack} layers a pass, as often as they are walked`);
  }
  return Array.from({ length: walkedCount }, (_, index): Repeat => {
    const isHigh = Math.floor(index / stack) % (lowCycles + 1) === lowCycles;
    const endsPass = (index + 1) % stack === 0 && index + 1 < walkedCount;
    return {
      block: index % stack + (isHigh ? stack : 0),
      ...endsPass && { passEnd: { stream: isHigh ? 0 : 1 } },
    };
  });
}
