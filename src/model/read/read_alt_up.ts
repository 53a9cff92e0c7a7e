/**
 * Several residual streams: metadata keys to how many there are, tensors to what mixes them. Reads
 * no weights.
 */
import type { AltUpConfig, AltUpTensors, LayerAltUpTensors } from "../alt_up_types.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import { type LayerReader, rowsOf } from "./layer_reader.ts";
import type { TensorChecker } from "./tensor_checker.ts";
import type { MatrixTensor, ModelConfig } from "../types.ts";

/** More streams than any model has: factors of a guess are their number squared. */
const STREAM_COUNT_MAX = 16;
/** Rows of what goes around attention, where its tensor is missing and asked for. */
const BYPASS_LENGTH = 64;

/** @throws {ModelFormatError} when a key is out of range, or layers compute with another stream. */
export function readAltUp(keys: Hyperparameters): AltUpConfig {
  const active = "altup.active_idx";
  if (keys.integer(active, { min: 0, absent: 0 }) !== 0) throw keys.wrong(active, "0");
  const range = { min: 2, max: STREAM_COUNT_MAX, absent: 4 };
  return { streamCount: keys.integer("altup.num_inputs", range) };
}

/** Null where the model has one stream. */
export function altUpTensors(
  checker: TensorChecker,
  { altUp, embeddingLength: width }: ModelConfig,
): AltUpTensors | null {
  if (altUp === null) return null;
  const count = altUp.streamCount - 1;
  const each = (name: string): MatrixTensor[] => {
    const all = checker.matrix(name, { rows: width, columns: width, count });
    return Array.from({ length: count }, (_, index) => rowsOf(all, index * width, width));
  };
  return { starts: each("altup_proj.weight"), ends: each("altup_unembd_proj.weight") };
}

/** Null where the model has one stream. */
export function layerAltUpTensors({ checker, config, at }: LayerReader): LayerAltUpTensors | null {
  const { altUp, embeddingLength: width } = config;
  if (altUp === null) return null;
  const { streamCount: count } = altUp;
  const norm = (name: string) => ({ weight: checker.vector(at + name, width), bias: null });
  const rank = checker.rowCount(`${at}laurel_l.weight`) ?? BYPASS_LENGTH;
  return {
    router: checker.matrix(`${at}altup_router.weight`, { rows: count, columns: width }),
    routerNorm: norm("altup_router_norm.weight"),
    guess: checker.vector(`${at}altup_predict_coef.weight`, count, count * count),
    correction: checker.vector(`${at}altup_correct_coef.weight`, count, count),
    scale: checker.vector(`${at}altup_correct_scale.weight`, width),
    bypass: {
      down: checker.matrix(`${at}laurel_l.weight`, { rows: rank, columns: width }),
      up: checker.matrix(`${at}laurel_r.weight`, { rows: width, columns: rank }),
      norm: norm("laurel_post_norm.weight"),
    },
  };
}
