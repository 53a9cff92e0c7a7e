/** The matrices of a block of neurons, in the order in which a token meets them. */
import type { DenseTensors, MatrixTensor } from "./types.ts";

/** Gate, where there is one, up and down. */
export function denseMatrices({ gate, up, down }: DenseTensors): MatrixTensor[] {
  return gate === null ? [up, down] : [gate, up, down];
}
