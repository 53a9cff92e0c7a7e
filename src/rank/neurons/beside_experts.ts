/** What goes along with the experts that tokens chose: companions of groups, biases of down. */
import type { Experts } from "../bound/bound_blocks.ts";
import type { ExpertRoutes } from "./expert_routes.ts";
import type { Activations } from "../bound/matrix.ts";
import { activateNeurons } from "./neurons.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

interface Parts {
  readonly residual: Residual;
  readonly routes: ExpertRoutes;
}

/** partial += what companions of the chosen experts give, of x. */
export function addCompanions(
  state: StepState,
  { residual, routes }: Parts,
  { experts, companions }: Experts,
  x: Activations,
): void {
  const { starts, views: { plan } } = routes;
  for (let g = 0; g < companions.length; g++) {
    const each = companions[g];
    const first = starts[experts.length + g];
    const count = starts[experts.length + g + 1] - first;
    const width = each.up.rowCount;
    if (count === 0 || width === 0) continue;
    const own = routes.gather(x, each, first, count);
    const hidden = activateNeurons(state, each, own, count);
    const { f32, stride } = hidden;
    state.kernels.scale_rows_f32(f32, stride, plan.weights + first * 4, count, width);
    residual.addRows(each.down, hidden, plan.rows + first * 4, count);
  }
}

/** partial += what experts add whatever they read, as much as each counts. */
export function addDownBiases(
  { config: { embeddingLength, experts: config } }: StepState,
  { residual, routes }: Parts,
  { experts, downBiases }: Experts,
): void {
  const { starts } = routes, d = config!.latentLength ?? embeddingLength;
  const { rows, weights } = routes.views.plan;
  for (let e = 0; e < experts.length; e++) {
    const first = 4 * starts[e], count = starts[e + 1] - starts[e];
    const bias = downBiases + 4 * d * e;
    if (count > 0) residual.addScaledBias(bias, rows + first, weights + first, count);
  }
}
