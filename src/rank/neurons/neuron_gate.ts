/** Gates the sum of a layer's neurons (RWKV-6) by what is made of their row, on every rank. */
import type { Layer } from "../bound/layer.ts";
import { project, readsQ8 } from "../bound/matrix.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

/** partial ⊙= sigmoid(matrix · shifted row), behind the layer's neurons, which kept the row. */
export function gateNeurons(
  state: StepState,
  residual: Residual,
  { feedForwardNorm, neuronGate }: Layer,
): void {
  if (neuronGate === null) return;
  const { matrix, shift } = neuronGate;
  const { kernels, space, plan, n } = state;
  const x = residual.read(feedForwardNorm, readsQ8(matrix), shift, false);
  project(kernels, matrix, x, n, space.incoming, plan.strides.embedding);
  residual.gatePartial(space.incoming);
}
