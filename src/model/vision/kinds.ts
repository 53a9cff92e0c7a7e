/** Every kind of projector files that this version reads. */
import { COMMON, type VisionKind } from "./vision_kind.ts";

/** Of projectors of two matrices with gelu between them. */
const TWO = {
  norm: null,
  merger: null,
  isFirstTransposed: false,
  biases: "required",
  activation: "gelu",
} as const;

const SCALE_FACTOR = "projector.scale_factor";

/** Gemma 3: SigLIP, means of blocks. */
const gemma3: VisionKind = {
  ...COMMON,
  name: "gemma3",
  mayBeSwapped: true,
  side: { key: SCALE_FACTOR, absent: 4 },
  merge: "mean",
  projector: {
    norm: {
      ...{ of: "merged", kind: "rms", epsilon: null },
      ...{ tensor: "mm.soft_emb_norm", isOptional: false },
    },
    merger: null,
    first: "mm.input_projection",
    isFirstTransposed: true,
    second: null,
    biases: "none",
    activation: null,
  },
};

/** LLaVA: CLIP with a class token, all layers but the last, which files do not have. */
const mlp: VisionKind = {
  ...COMMON,
  name: "mlp",
  mayBeSwapped: true,
  classToken: "ifThere",
  namesLayers: true,
  projector: { ...TWO, first: "mm.0", second: "mm.2" },
  // Rows of lines' ends, of LLaVA 1.6: other programs do not use them, either.
  unused: ["model.image_newline", "v.image_newline"],
};

/** SmolVLM: SigLIP, blocks of patches side by side. */
const idefics3: VisionKind = {
  ...COMMON,
  name: "idefics3",
  mayBeSwapped: true,
  side: { key: SCALE_FACTOR, absent: 1 },
  projector: {
    ...{ norm: null, merger: null, first: "mm.model.fc", isFirstTransposed: false },
    ...{ second: null, biases: "none", activation: null },
  },
};

/** In alphabetical order. */
export const KINDS: readonly VisionKind[] = [gemma3, idefics3, mlp];
