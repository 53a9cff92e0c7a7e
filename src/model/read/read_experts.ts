/**
 * Metadata keys to the shape of a mixture of experts. Looks at tensors only for how many blocks are
 * dense, where no key says it.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import type { ExpertChoices, Family, MixtureShape } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import { largestMixture } from "./read_uneven_layers.ts";
import type { CompanionsConfig } from "../experts_types.ts";
import type { ExpertsConfig } from "../types.ts";

/** More experts than any model has; keeps a corrupt count from becoming a million names. */
const EXPERT_COUNT_MAX = 4096;

/** Float kernels read as many columns at once. */
const LATENT_UNIT = 16;

/** Values of the key "expert_gating_func"; 0 stands for "not said". */
const GATINGS: ReadonlyMap<number, ExpertsConfig["gating"]> = new Map([
  [1, "softmax"],
  [2, "sigmoid"],
  [3, "softmaxOfChosen"],
  [4, "rootSoftplus"],
]);

/**
 * How the model mixes experts; null when it is dense.
 * @throws {ModelFormatError} when a key is missing or out of range.
 * @throws {UnsupportedModelError} when the model mixes them in a way this version does not compute.
 */
export function readExperts(
  file: GgufFile,
  keys: Hyperparameters,
  family: Family,
  shape: MixtureShape,
): ExpertsConfig | null {
  const choices = family.experts;
  const min = choices?.isRequired ? 1 : 0;
  const count = keys.integer("expert_count", {
    min,
    max: EXPERT_COUNT_MAX,
    absent: min === 0 ? 0 : undefined,
  });
  if (count === 0) return null;
  if (choices === null) throw notComputed(family, `it mixes ${count} experts`);
  const period = readPeriod(keys);
  if (period > 1 && !choices.mayAlternate) {
    throw notComputed(family, "its layers have experts in turns");
  }
  const { usedCount, feedForwardLength } = family.stateSpace?.layersDiffer
    ? largestMixture(keys, { expertCount: count, blockCount: shape.blockCount })
    : readMixture(keys, count, choices);
  const groups = readGroups(keys, count, usedCount);
  const sharedFeedForwardLength = readSharedLength(file, keys, choices, feedForwardLength);
  const companions = choices.haveCompanions ? readCompanions(keys, count) : null;
  const jointWeight = sharedFeedForwardLength > 0 ? choices.jointWeight ?? 1 : 1;
  const latentLength = readLatentLength(file, keys, family, choices);
  return {
    count,
    usedCount,
    feedForwardLength,
    ...latentLength > 0 && { latentLength },
    gating: readGating(keys, family, choices, shape),
    normalizesWeights: keys.flag("expert_weights_norm", choices.normalizesWeights),
    weightScale: readWeightScale(keys) * jointWeight,
    routerInput: choices.routerInput,
    sharedFeedForwardLength,
    ...jointWeight !== 1 && { sharedWeight: jointWeight },
    leadingDenseCount: readLeadingDenseCount(file, keys, shape.blockCount),
    ...groups && { groups },
    ...period > 1 && { period },
    ...choices.weighsInputs && { weighsInputs: true },
    ...companions && { companions },
  };
}

const LATENT_LENGTH = "moe_latent_size";

/** 0: experts read what the router does. */
function readLatentLength(
  { tensors }: GgufFile,
  keys: Hyperparameters,
  family: Family,
  { latents }: ExpertChoices,
): number {
  if (latents?.lengthKey !== LATENT_LENGTH) refuseLatents(keys, family);
  if (latents === undefined) return 0;
  const max = keys.integer("embedding_length", { min: 1 });
  const length = keys.integer(latents.lengthKey, { min: 0, max, absent: 0 });
  const made = `.${latents.tensors}_down.weight`;
  const maker = length === 0 && [...tensors.keys()].find((name) => name.endsWith(made));
  if (maker) throw keys.wrong(latents.lengthKey, `the rows of tensor "${maker}", which is there`);
  if (length % LATENT_UNIT === 0) return length;
  throw new UnsupportedModelError(
    `Cannot run this model: its experts read ${length} numbers, this version needs a multiple of ` +
      `${LATENT_UNIT}: use a model of another shape`,
  );
}

function refuseLatents(keys: Hyperparameters, family: Family): void {
  if (keys.integer(LATENT_LENGTH, { min: 0, absent: 0 }) === 0) return;
  throw notComputed(family, "its experts read a latent of the residual stream");
}

/** One of so many layers mixes, the last of them. Nomic's key counts otherwise beyond 2. */
function readPeriod(keys: Hyperparameters): number {
  const own = "moe_every_n_layers";
  return keys.has(own)
    ? keys.integer(own, { min: 2, max: 2 })
    : keys.integer("interleave_moe_layer_step", { min: 0, absent: 1 });
}

/** Their first files do not say how long they are: then they are as long as a head. */
function readCompanions(keys: Hyperparameters, expertCount: number): CompanionsConfig {
  const key = "experts_per_group";
  const groupSize = keys.integer(key, { min: 1, max: expertCount });
  if (expertCount % groupSize !== 0) throw keys.wrong(key, `a divisor of ${expertCount} experts`);
  const length = keys.integer("expert_chunk_feed_forward_length", { min: 0, absent: 0 });
  const weight = keys.float("expert_group_scale", { min: -Infinity });
  if (weight < 0) throw keys.wrong("expert_group_scale", "0 or more");
  return {
    groupSize,
    feedForwardLength: length || keys.integer("attention.key_length", { min: 1 }),
    weight,
  };
}

/** Groups among which tokens choose first; null: one, or all are used. */
function readGroups(
  keys: Hyperparameters,
  expertCount: number,
  usedCount: number,
): NonNullable<ExpertsConfig["groups"]> | null {
  const key = "expert_group_count";
  const count = keys.integer(key, { min: 0, max: expertCount, absent: 0 });
  if (count <= 1) return null;
  const size = expertCount / count;
  if (!Number.isInteger(size) || size < 2) {
    throw keys.wrong(key, `a divisor of the experts, ${expertCount}, at least two in each`);
  }
  const used = keys.integer("expert_group_used_count", { min: 1, max: count });
  if (used * size < usedCount) {
    throw keys.wrong("expert_group_used_count", `enough for the experts of a token, ${usedCount}`);
  }
  return used === count ? null : { count, usedCount: used };
}

/** Some files do not say it: their first blocks have a feed-forward block and no router. */
function readLeadingDenseCount(
  { tensors }: GgufFile,
  keys: Hyperparameters,
  blockCount: number,
): number {
  const max = blockCount - 1;
  const isDense = (index: number) =>
    tensors.has(`blk.${index}.ffn_up.weight`) && !tensors.has(`blk.${index}.ffn_gate_inp.weight`);
  let absent = 0;
  while (absent < max && isDense(absent)) absent++;
  return keys.integer("leading_dense_block_count", { min: 0, max, absent });
}

function readMixture(
  keys: Hyperparameters,
  count: number,
  choices: ExpertChoices,
): Pick<ExpertsConfig, "usedCount" | "feedForwardLength"> {
  const usedCount = keys.integer("expert_used_count", { min: 1, max: count });
  return { usedCount, feedForwardLength: readExpertLength(keys, usedCount, choices) };
}

/**
 * Families that always mix experts have a key for it; their first files name the neurons that a
 * token uses instead. A dense family that may have experts names the neurons of one.
 */
function readExpertLength(
  keys: Hyperparameters,
  usedCount: number,
  choices: ExpertChoices,
): number {
  const own = keys.integer("expert_feed_forward_length", { min: 0, absent: 0 });
  if (own > 0) return own;
  const length = keys.integer("feed_forward_length", { min: 1 });
  if (!choices.isRequired || choices.saysLengthOfEach) return length;
  if (length % usedCount === 0) return length / usedCount;
  throw keys.wrong("feed_forward_length", `a multiple of the experts of a token, ${usedCount}`);
}

function readGating(
  keys: Hyperparameters,
  family: Family,
  choices: ExpertChoices,
  shape: MixtureShape,
): ExpertsConfig["gating"] {
  const said = keys.integer("expert_gating_func", { min: 0, absent: 0 });
  if (said === 0) {
    return typeof choices.gating === "function" ? choices.gating(shape) : choices.gating;
  }
  const gating = GATINGS.get(said);
  if (gating) return gating;
  throw notComputed(family, `its router's gating function is number ${said}`);
}

/** 0 stands for "not said". */
function readWeightScale(keys: Hyperparameters): number {
  const scale = keys.float("expert_weights_scale", { min: -Infinity, absent: 1 });
  if (scale < 0) throw keys.wrong("expert_weights_scale", "0 or more");
  return scale || 1;
}

/** Families whose shared expert has no gate say how long it is, or of how many it is made. */
function readSharedLength(
  file: GgufFile,
  keys: Hyperparameters,
  { sharedExpert, sharedLength }: ExpertChoices,
  expertLength: number,
): number {
  if (sharedExpert === "none") return 0;
  if (sharedLength === "asOthers") return expertLength;
  if (sharedLength === "asStream") return keys.integer("embedding_length", { min: 1 });
  if (sharedExpert === "dense" || sharedExpert === "apart") {
    const isThere = file.tensors.has("blk.0.ffn_up.weight");
    return isThere ? keys.integer("feed_forward_length", { min: 1 }) : 0;
  }
  const key = "expert_shared_feed_forward_length";
  const length = keys.integer(key, { min: 0, absent: 0 });
  if (sharedExpert === "plain") {
    const max = EXPERT_COUNT_MAX;
    const count = keys.integer("expert_shared_count", { min: 0, max, absent: 0 });
    if (sharedLength === "ofEach") return (length || expertLength) * count;
    return length || expertLength * count;
  }
  return length || keys.integer("feed_forward_length", { min: 1 });
}

function notComputed({ architecture }: Family, what: string): UnsupportedModelError {
  return new UnsupportedModelError(
    `Cannot run this ${architecture} model: ${what}, which this version does not compute: use ` +
      "another model",
  );
}
