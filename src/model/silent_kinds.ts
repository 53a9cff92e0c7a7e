/** Which neurons are silent as a rule, so that it pays to look before computing. */
import type { Activation } from "./types.ts";

/** True when a neuron's product is exactly zero for half of all inputs, or more. */
export function isSilentKind(activation: Activation): boolean {
  return activation === "relu" || activation === "relu2";
}
