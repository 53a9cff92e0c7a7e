/**
 * From a parsed GGUF header to a model's description: finds the family, reads its configuration,
 * checks its tensors. Knows no weights and computes nothing.
 */
import { UnsupportedModelError } from "../base/errors.ts";
import { getString, type GgufFile } from "../gguf/mod.ts";
import { FAMILIES } from "./families/mod.ts";
import type { Family } from "./family.ts";
import { Hyperparameters } from "./read/hyperparameters.ts";
import { isPowerInfer, requireRunnablePowerInfer } from "./powerinfer.ts";
import { refuseFused } from "./describe_fused.ts";
import { readConfig, type ReadOptions } from "./read/read_config.ts";
import { readTensors } from "./read/read_tensors.ts";
import { refuseCompanion } from "./read/companion_files.ts";
import { refuseProjector } from "./read/read_vision.ts";
import { steerLayers } from "./read/steer_layers.ts";
import type { ModelDescription } from "./types.ts";

/** Values of `general.architecture` that this version runs. */
export const SUPPORTED_ARCHITECTURES: readonly string[] = FAMILIES.map((f) => f.architecture);

/**
 * What a file's model is and where its tensors are, ready to be loaded.
 * @throws {ModelFormatError} when metadata or tensors are missing, senseless or contradictory.
 * @throws {UnsupportedModelError} when the model is sound but this version cannot run it.
 */
export function describeModel(file: GgufFile, options: ReadOptions = {}): ModelDescription {
  const family = variantOf(findFamily(file), file);
  const config = readConfig(file, family, options);
  return { config, tensors: steerLayers(file, config, readTensors(file, config, family)) };
}

/** The family as the file's flag has it. */
function variantOf(family: Family, file: GgufFile): Family {
  const { variant, architecture } = family;
  if (variant === null || !new Hyperparameters(file, architecture).flag(variant.key, false)) {
    return family;
  }
  return { ...family, ...variant.choices };
}

function findFamily(file: GgufFile): Family {
  refuseCompanion(file);
  const architecture = getString(file.metadata, "general.architecture");
  if (isPowerInfer(file)) requireRunnablePowerInfer(architecture);
  refuseProjector(architecture);
  refuseFused(architecture);
  const family = FAMILIES.find((candidate) => candidate.architecture === architecture);
  if (!family) {
    throw new UnsupportedModelError(
      `Cannot run a model of architecture ${JSON.stringify(architecture)}: this version runs ` +
        SUPPORTED_ARCHITECTURES.join(", "),
    );
  }
  return family;
}
