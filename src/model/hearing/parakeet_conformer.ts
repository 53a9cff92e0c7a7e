/** Parakeet's conformer (NVIDIA's fast one, as Nemotron has it): what sets it apart. */
import type { Hyperparameters } from "../read/hyperparameters.ts";
import type { ConformerForm } from "./conformer_form.ts";
import { FAST_CONFORMER } from "./fast_conformer.ts";

/** Frames of a row: of three convolutions. */
const SUBSAMPLING = 8;
/** Of a window, samples; frequencies of a transform of 512. */
const WINDOW = 400;
const FREQUENCIES = 257;
const FILTERS = { window: "a.window", bands: "a.mel_filters" };

/** @throws {ModelFormatError} when metadata is senseless. */
export function parakeetConformer(keys: Hyperparameters): ConformerForm {
  keys.integer("subsampling_factor", { min: SUBSAMPLING, max: SUBSAMPLING });
  return {
    ...FAST_CONFORMER,
    norm: { kind: "layer", epsilon: keys.float("attention.layer_norm_epsilon", { min: 0 }) },
    ...{ spectrum: "given", filters: FILTERS },
    input: (reader, bands) => {
      const { checker } = reader;
      checker.vector(FILTERS.window, WINDOW);
      checker.flatVector(FILTERS.bands, FREQUENCIES, bands);
      return FAST_CONFORMER.input(reader, bands);
    },
    block: (reader, at) => {
      // LFM2-Audio's files have these in their gains.
      for (const name of ["conv_norm_mean", "conv_norm_var"]) {
        reader.checker.vector(at + name, reader.width);
      }
      return FAST_CONFORMER.block(reader, at);
    },
  };
}
