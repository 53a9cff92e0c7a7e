/**
 * A projector's file that hears without a tower: samples are projected as they are. Knows no
 * spectrograms.
 */
import type { GgufFile } from "../../gguf/mod.ts";
import { rowsOf } from "../read/layer_reader.ts";
import { CLIP } from "../read/read_vision.ts";
import { TensorChecker } from "../read/tensor_checker.ts";
import { tensorsOfImages } from "./tensors_of_images.ts";
import { PLAIN } from "../vision/plain_tower.ts";
import { readProjector } from "../vision/read_projector.ts";
import type { TowerReader } from "../vision/read_tower.ts";
import type { HearingModel } from "../vision_types.ts";
import type { HearingKind } from "./kinds.ts";

/** Rows of a step: half a minute of 40 ms each. Where a sound is cut makes no difference. */
const ROWS_MAX = 750;

/** @throws {ModelFormatError | UnsupportedModelError} as `readHearing`. */
export function readUnencoded(file: GgufFile, kind: HearingKind, width: number): HearingModel {
  const checker = new TensorChecker(file);
  const reader: TowerReader = {
    ...{ file, checker, kind, prefix: "a", width, heads: 1, kvHeads: 1, headDim: width },
  };
  const epsilon = kind.epsilon!;
  const of = { mergeSide: 1, blockCount: 0, epsilon, activation: null };
  const { config: projector, tensors } = readProjector(reader, of);
  checker.leave(...tensorsOfImages(file));
  checker.refuseUnused({ start: 0, end: 0 });
  // Nothing is multiplied by it.
  const nothing = rowsOf(tensors.first, 0, 0);
  return {
    description: {
      config: {
        ...{ architecture: CLIP, blockCount: 0, embeddingLength: width, feedForwardLength: 1 },
        ...{ headCount: 1, headCountKv: 1, headDim: width, valueDim: width },
        ...{ vocabSize: 0, contextLength: ROWS_MAX, isEncoder: true },
        patches: { length: width, countMax: ROWS_MAX, areRows: true },
        norm: { kind: "rms", epsilon },
        ...{ attentionScale: 1, ropes: [], layers: [] },
        feedForward: { activation: "gelu", isGated: false, activatesUp: false, firingThreshold: 0 },
        ...PLAIN,
        projector,
      },
      tensors: {
        ...{ tokenEmbedding: nothing, output: nothing, positionEmbedding: null, altUp: null },
        ...{ embeddingNorm: null, tokenInputs: null, outputNorm: { weight: null, bias: null } },
        ...{ layers: [], projector: tensors },
      },
    },
    sounds: {
      ...{ projector: kind.name, melCount: 0, samplesOfRow: width, rowsMax: ROWS_MAX },
      ...{ positions: null, rowsOfOne: 1, isPadded: true, isWhole: false },
    },
  };
}
