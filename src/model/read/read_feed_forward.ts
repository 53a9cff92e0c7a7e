/**
 * Metadata keys to the arithmetic of feed-forward blocks. Knows what files call activations, and
 * what a file's magic says of them.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import type { Family, MixtureShape } from "../family.ts";
import { formatError, type Hyperparameters } from "./hyperparameters.ts";
import { readSoftCaps } from "./read_kept_inputs.ts";
import { isPowerInfer } from "../powerinfer.ts";
import { isSilentKind } from "../silent_kinds.ts";
import type { Activation, FeedForwardConfig } from "../types.ts";

/**
 * What files call activations. "gelu" alone is the form by erf, which nothing here computes: of
 * encoders, most of which are defined by it and do not say so, llama.cpp takes it for that by tanh.
 */
const ACTIVATIONS: ReadonlyMap<string, Activation> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["gelu_new", "gelu"],
  ["gelu_pytorch_tanh", "gelu"],
  ["relu", "relu"],
  ["relu2", "relu2"],
]);

/** Not an activation but two: both halves of a neuron pass through ReLU. */
const DRELU = "drelu";
/** ReLU with a threshold, which `hidden_activation_param` names as models' own configs do. */
const FATRELU = "fatrelu";

/**
 * Some models of a family differ by their activation; computed as usual they talk nonsense.
 * PowerInfer's files do not name it: their magic alone says ReLU.
 * @throws {UnsupportedModelError} when it is one that this version does not compute.
 * @throws {ModelFormatError} when the key says another thing than the magic, or FATReLU has no
 *   threshold.
 */
export function readFeedForward(
  file: GgufFile,
  keys: Hyperparameters,
  family: Family,
  shape: MixtureShape,
): FeedForwardConfig {
  const gated = family.fusesGateAndUp === "said" ? { isGated: hasGates(file, keys, family) } : {};
  const ungated = gated.isGated === false ? family.ungatedActivation : null;
  const own = ungated ?? family.activationOf?.(shape) ?? family.feedForward.activation;
  const capped = family.keepsInputs ? readSoftCaps(keys) : {};
  const usual = { ...family.feedForward, ...gated, activation: own, firingThreshold: 0 };
  const feedForward = { ...usual, ...capped };
  const said = keys.text("hidden_activation") ?? (isPowerInfer(file) ? "relu" : null);
  if (said === null) return feedForward;
  if (said === DRELU) return { ...feedForward, activation: "relu", activatesUp: true };
  if (said === FATRELU) {
    const firingThreshold = keys.float("hidden_activation_param", { min: 0 });
    return { ...feedForward, activation: "relu", firingThreshold };
  }
  const name = family.architecture;
  const isPlain = said === "gelu" && family.isEncoder;
  const activation = isPlain ? "gelu" : ACTIVATIONS.get(said);
  if (activation === undefined) {
    throw new UnsupportedModelError(
      `Cannot run this ${name} model: "${name}.hidden_activation" is ${JSON.stringify(said)}: ` +
        `this version computes ${[...ACTIVATIONS.keys(), DRELU, FATRELU].join(", ")}`,
    );
  }
  if (isPowerInfer(file) && !isSilentKind(activation)) {
    throw formatError(
      file,
      `Cannot use metadata "${name}.hidden_activation": it says ${said}, and the magic PWRI says ` +
        "that neurons are ReLU-like: convert the model again",
    );
  }
  return { ...feedForward, activation };
}

/** Gates have a tensor of their own, or lie with ups in one. */
function hasGates(
  { tensors }: GgufFile,
  keys: Hyperparameters,
  { nameInFile }: Family,
): boolean {
  const [gate, up] = ["gate", "up"].map((name) => `blk.0.ffn_${name}.weight`)
    .map((name) => nameInFile?.(name) ?? name);
  const rows = tensors.get(up)?.dims[1];
  return tensors.has(gate) ||
    rows === 2 * keys.integer("feed_forward_length", { min: 1 });
}
