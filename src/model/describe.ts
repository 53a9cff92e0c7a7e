/**
 * From a parsed GGUF header to a model's description: finds the family, reads its configuration,
 * checks its tensors. Knows no weights and computes nothing.
 */
import { UnsupportedModelError } from "../base/errors.ts";
import { getString, type GgufFile } from "../gguf/mod.ts";
import { llama } from "./families/llama.ts";
import { qwen2 } from "./families/qwen2.ts";
import type { Family } from "./family.ts";
import { readConfig } from "./read_config.ts";
import { readTensors } from "./read_tensors.ts";
import type { ModelDescription } from "./types.ts";

const FAMILIES: readonly Family[] = [llama, qwen2];

/** Values of `general.architecture` that this version runs. */
export const SUPPORTED_ARCHITECTURES: readonly string[] = FAMILIES.map((f) => f.architecture);

/**
 * What a file's model is and where its tensors are, ready to be loaded.
 * @throws {ModelFormatError} when metadata or tensors are missing, senseless or contradictory.
 * @throws {UnsupportedModelError} when the model is sound but this version cannot run it.
 */
export function describeModel(file: GgufFile): ModelDescription {
  const config = readConfig(file, findFamily(file));
  return { config, tensors: readTensors(file, config) };
}

function findFamily(file: GgufFile): Family {
  if (file.magic === "PWRI") {
    throw new UnsupportedModelError(
      "Cannot run this model: it is a PowerInfer file (magic PWRI): sparse ReLU models come with " +
        "a later version, use an ordinary GGUF file of a SiLU model",
    );
  }
  const architecture = getString(file.metadata, "general.architecture");
  const family = FAMILIES.find((candidate) => candidate.architecture === architecture);
  if (!family) {
    throw new UnsupportedModelError(
      `Cannot run a model of architecture ${JSON.stringify(architecture)}: this version runs ` +
        SUPPORTED_ARCHITECTURES.join(", "),
    );
  }
  return family;
}
