/** Metadata keys to the scaling of rotary frequencies. Knows no tensors and no layers. */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { RopeScaling } from "../types.ts";

/**
 * How the model stretches its context. isApart: "yarn_log_multiplier" is of scores, and where it is
 * said cosines and sines have no magnitude.
 * @throws {ModelFormatError} when a key is out of range.
 * @throws {UnsupportedModelError} when the scaling is none this version computes.
 */
export function readRopeScaling(
  keys: Hyperparameters,
  contextLength: number,
  isApart: boolean,
): RopeScaling {
  const type = readScalingType(keys);
  const factor = readScalingFactor(keys);
  const original = keys.integer("rope.scaling.original_context_length", {
    min: 0,
    absent: contextLength,
  });
  // A negative one stands for "not said" in files, as does an original context of 0.
  const said = keys.float("rope.scaling.yarn_ext_factor", { min: -Infinity, absent: -1 });
  const extrapolation = type !== "yarn" ? 0 : said < 0 ? 1 : said;
  const attention = keys.float("rope.scaling.attn_factor", { min: 0, absent: 1 });
  // YaRN's own factor counts only where YaRN does not derive one.
  const yarnAttention = keys.float("rope.scaling.yarn_attn_factor", { min: 0, absent: 1 });
  // A second magnitude, by which YaRN's own is divided; 0 stands for "none".
  const multiplier = keys.float("rope.scaling.yarn_log_multiplier", { min: -Infinity, absent: 0 });
  if (multiplier < 0) throw keys.wrong("rope.scaling.yarn_log_multiplier", "0 or more");
  const divisor = isApart && multiplier > 0 ? 1 : multiplier;
  const yarnDivided = attention / (1 + 0.1 * divisor * Math.log(Math.max(1, factor)));
  return {
    type,
    factor: type === "none" ? 1 : factor,
    originalContextLength: original || contextLength,
    attentionFactor: extrapolation === 0 ? attention * yarnAttention : yarnDivided,
    extrapolation,
    betaFast: keys.float("rope.scaling.yarn_beta_fast", { min: 0, absent: 32 }),
    betaSlow: keys.float("rope.scaling.yarn_beta_slow", { min: 0, absent: 1 }),
  };
}

/**
 * A file that names a factor without a type means linear scaling. Long-rope stretches by its
 * tensors of factors, and a factor beside them would be linear scaling, too.
 */
function readScalingType(keys: Hyperparameters): RopeScaling["type"] {
  const type = keys.text("rope.scaling.type") ?? "linear";
  if (type === "none" || type === "yarn") return type;
  if (type === "linear" || type === "longrope") {
    return readScalingFactor(keys) === 1 ? "none" : "linear";
  }
  throw new UnsupportedModelError(
    `Cannot run this model: its rotary scaling is ${JSON.stringify(type)}: this version computes ` +
      '"none", "linear", "yarn" and "longrope"',
  );
}

/** 0 stands for "none" in files; "rope.scale_linear" is the key's name before 2024. */
function readScalingFactor(keys: Hyperparameters): number {
  const key = keys.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  const factor = keys.float(key, { min: -Infinity, absent: 1 });
  if (factor < 0) throw keys.wrong(key, "0 or more");
  return factor === 0 ? 1 : factor;
}
