/** Every choice that makes a tower and a projector of each kind. Data. */
import type { TinyVisionName } from "../support/tiny_vision.ts";
import type { MISTAKES } from "./tower_mistakes.ts";

const SIGLIP = [
  ...["earlier rows only", "gelu of another kind", "another epsilon", "no last norm"] as const,
  "patches without positions" as const,
];
const TURNING = ["not turned", "other pairs", "rows and columns exchanged"] as const;

/** What sets each kind's towers apart. */
export const CHOICES: Readonly<Record<TinyVisionName, readonly (keyof typeof MISTAKES)[]>> = {
  "gemma3": [...SIGLIP, "no norm in the projector", "another epsilon in the projector"],
  "gemma3-odd": ["no last norm"],
  "gemma4v": [
    ...[...TURNING, "one half turned", "pairs of both halves", "another base"] as const,
    ...["gelu of another kind", "another epsilon", "patches without positions"] as const,
    ...["heads as they are", "values as they are", "scores scaled"] as const,
    ...["no norms behind blocks", "rows as they are", "rows of another size"] as const,
    ...["no norm in the projector"] as const,
  ],
  "gemma4v-limits": [
    ...["no limits", "no limits of what products read"] as const,
    "no limits of what products give",
  ],
  "gemma4uv": [
    ...["pixels as they are", "no norm of patches", "no first norm"] as const,
    ...["patches without positions", "no norm in the projector", "another epsilon"] as const,
    "another epsilon in the projector",
  ],
  "mlp": [
    ...["earlier rows only", "gelu of another kind", "another epsilon", "no first norm"] as const,
    ...["gelu of another kind in the projector", "patches without positions"] as const,
  ],
  "mlp-siglip": ["no last norm"],
  "idefics3": [...SIGLIP, "blocks by columns"],
  "internvl": [
    ...["gelu of another kind", "gelu of another kind in the projector"] as const,
    ...["another epsilon in the projector", "no norm in the projector"] as const,
    ...["blocks give all", "blocks by columns", "patches without positions"] as const,
  ],
  "internvl-norms": ["heads as they are"],
  "nemotron_v2_vl": [
    ...["earlier rows only", "gelu of another kind", "another epsilon"] as const,
    ...["patches without positions", "no norm in the projector", "blocks by columns"] as const,
    ...["another epsilon in the projector", "gelu of another kind in the projector"] as const,
    "class tokens with positions",
  ],
  "pixtral": [...TURNING, "gelu of another kind", "no first norm", "frequencies of each half"],
  "pixtral-merging": [
    ...["rows side by side", "blocks by columns", "no norm in the projector"] as const,
    "another epsilon in the projector",
  ],
  "lightonocr": [
    ...[...TURNING, "frequencies of each half", "no first norm", "rows side by side"] as const,
    "no norm in the projector",
  ],
  "qwen2vl_merger": [
    ...[...TURNING, "frequencies in turns", "one frame", "gelu of another kind"] as const,
    ...["no last norm", "blocks by columns"] as const,
  ],
  "qwen2.5vl_merger": ["no windows", "gelu of another kind"],
  "exaone4_5": ["no windows", "not turned", "one frame", "keys and values exchanged"],
  "qwen3vl_merger": [
    ...["rows of another layer", "patches without positions", "one frame"] as const,
  ],
  "lfm2": ["no norm in the projector", "another epsilon in the projector", "blocks by columns"],
  "kimivl": [
    ...["rows and columns exchanged", "frequencies in turns", "no norm in the projector"] as const,
    ...["another epsilon in the projector", "patches without positions"] as const,
  ],
  "step3vl": [
    ...["not turned", "rows and columns exchanged", "frequencies in turns", "other pairs"] as const,
    ...["blocks give all", "no first norm", "no biases of convolutions"] as const,
  ],
  "kimik25": ["another epsilon in the projector", "patches without positions", "not turned"],
  "glm4v": [
    ...["no norm of patches", "norm behind positions", "rows side by side", "one frame"] as const,
    ...[
      "no gate in the projector",
      "no norm of a stage",
      "a stage's gelu of another kind",
    ] as const,
    ...["no last norm", "blocks by columns", "not turned"] as const,
  ],
  "hunyuanvl": [
    ...["earlier rows only", "gelu of another kind", "patches without positions"] as const,
    ...["no norm in the projector", "a stage's gelu of another kind"] as const,
    ...["rows side by side", "blocks by columns", "rows as they come out"] as const,
    ...["a begin for an end", "no end of lines"] as const,
  ],
  "llama4": [
    ...["earlier rows only", "not turned", "rows and columns exchanged"] as const,
    ...["a stage's gelu of another kind", "blocks by columns", "no first norm"] as const,
    "gelu of another kind in the projector",
  ],
  "dots_ocr": [
    ...["no last norm", "no norm in the projector", "another epsilon in the projector"] as const,
    "rows and columns exchanged",
  ],
  "paddleocr": ["not turned", "patches without positions", "another epsilon in the projector"],
  "youtuvl": [
    ...["no windows", "not turned", "rows and columns exchanged", "no last norm"] as const,
    ...["no norm in the projector", "another epsilon in the projector"] as const,
    ...["gelu of another kind", "blocks by columns"] as const,
  ],
  "phi4": ["patches without positions"],
  "adapter": [
    ...[...SIGLIP, "no gate in the projector", "no norm of a stage"] as const,
    ...["a stage's gelu of another kind", "rows side by side", "blocks by columns"] as const,
  ],
  "minimax_m3": [
    ...[...TURNING, "one half turned", "turned from a head's beginning", "one frame"] as const,
    ...["no first norm", "gelu of another kind", "blocks by columns"] as const,
    "a row's gelu of another kind",
  ],
  "muse-glimmer": [
    ...[...TURNING, "frequencies in turns", "no windows", "windows in the last layer"] as const,
    ...["no first norm", "no last norm", "another epsilon", "patches without positions"] as const,
    ...["gelu of another kind", "a stage's gelu of another kind", "rows side by side"] as const,
    "blocks by columns",
  ],
  "ldpv2": [
    ...["earlier rows only", "gelu of another kind", "another epsilon"] as const,
    ...["no first norm", "patches without positions", "a row's gelu of another kind"] as const,
    ...["nothing from around", "another bias around"] as const,
  ],
  "mimovl": [
    ...[...TURNING, "frequencies in turns", "one frame", "gelu of another kind"] as const,
    ...["no norm in the projector", "blocks by columns", "another epsilon"] as const,
    ...["no sinks", "windows along lines alone", "shorter windows", "windows in no layer"] as const,
  ],
  // The rest is in granite4_test.ts, of all parts of rows.
  "granite4_vision": [
    ...["earlier rows only", "gelu of another kind", "another epsilon"] as const,
    "patches without positions",
  ],
  "minicpmv4_6": [
    ...[...SIGLIP, "no windows", "blocks by columns", "no bias of folded rows"] as const,
    ...["another norm of folded rows", "folded one layer later"] as const,
    ...["no norm in the projector", "gelu of another kind in the projector"] as const,
    "another epsilon in the projector",
  ],
  "minicpmv4_6-four": [
    ...[...SIGLIP, "blocks by columns", "no norm in the projector"] as const,
    "another epsilon in the projector",
  ],
  "resampler": [
    ...SIGLIP,
    ...[
      "keys without places",
      "keys of rows before columns",
      "queries and keys exchanged",
    ] as const,
    ...["another epsilon of queries", "another epsilon in the projector"] as const,
    "no norm in the projector",
  ],
  "janus_pro": [...SIGLIP, "gelu of another kind in the projector"],
};
