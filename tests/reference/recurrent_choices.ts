/** Which mistakes show in which of the families that keep states key by key. Data only. */
import type { STATE_MISTAKES } from "./state_mistakes.ts";

type StateMistake = keyof typeof STATE_MISTAKES;

const KEYED: readonly StateMistake[] = [
  ...["shares of the first layer", "keys and values exchanged"] as const,
  ...[
    "decays and rates exchanged",
    "no values of the first layer",
    "keys scaled by rates",
  ] as const,
  ...["keys brought back as they are", "another bonus", "what heads give as it is"] as const,
];
const ADDED: readonly StateMistake[] = [
  ...["shares that are not moved", "decays moved as keys"] as const,
  ...["receptances and gates exchanged", "keys and values of added states exchanged"] as const,
];
const ADDED_NEURONS: readonly StateMistake[] = [
  ...["neurons read another row", "sums of neurons as they are", "layers not halved"] as const,
];

const MOE = ["experts in reverse", "one expert fewer"] as const;

/** Of Nemotron 3, whose states are as Mamba 2's. */
const NEMOTRON: readonly StateMistake[] = [
  ...["convolved without a bias", "what gates convolved", "steps go around states"] as const,
];
const NEMOTRON_EXPERTS = [
  ...[...MOE, "no bias of the choice", "softmax", "no shared expert", "ReLU"] as const,
  ...["weights not normalised", "experts as they are"] as const,
] as const;

export const RECURRENT_CHOICES = {
  "nemotron_h_moe": [...NEMOTRON, ...NEMOTRON_EXPERTS],
  "nemotron_h_moe-latent": [
    ...[...NEMOTRON, ...NEMOTRON_EXPERTS, "latents' sums normalised"] as const,
  ],
  "nemotron_h_moe-puzzle": [
    ...[...NEMOTRON, ...NEMOTRON_EXPERTS, "latents' sums normalised"] as const,
    "as many experts in all layers",
  ],
  "bailingmoe3": [
    ...[...MOE, "queries and keys convolved as values", "steps without a bias"] as const,
    ...["gated by steps", "decays without a floor", "heads as they are", "no limits"] as const,
    ...["softmax", "no bias of the choice", "no shared expert", "weights not normalised"] as const,
    ...["pairs half a head apart", "no rope"] as const,
  ],
  "kimi-k3": [
    ...[...MOE, "queries and keys convolved as values", "steps without a bias"] as const,
    ...["gated by steps", "decays without a floor", "heads as they are"] as const,
    ...["inputs kept by every layer", "blocks score alike", "ups are not capped"] as const,
    ...["the end scores as the first layer", "gates and ups are not capped"] as const,
    ...["latents' sums as they are", "no shared expert"] as const,
    ...["softmax", "no bias of the choice"] as const,
  ],
  "minimax-01": [
    ...["experts in reverse", "one expert fewer", "weights not normalised"] as const,
    ...["lightning attention gated by queries", "no lightning attention"] as const,
    ...["sums as they are", "the stream counts once", "one epsilon for all norms"] as const,
    ...["all dimensions rotated", "neighbouring pairs", "no rope"] as const,
  ],
  "barbet": [
    ...["convolved without a bias", "what gates convolved", "steps go around states"] as const,
    ...["states not normalised", "no states", "no head norms", "neighbouring pairs"] as const,
    "no rope",
  ],
  "rwkv7": [...KEYED, "neurons read another row", "what states give ungated", "ReLU", "SiLU"],
  "rwkv6": [...ADDED, ...ADDED_NEURONS, "nothing goes around added states"],
  "rwkv6-old": ["decays moved as keys", "added states as they are"],
  "rwkv6qwen2": [...ADDED, "gate and up exchanged"],
  "arwkv7": ["what states give ungated", "gate and up exchanged"],
  "arwkv7-ungated": ["no values of the first layer", "another bonus"],
} as const;
