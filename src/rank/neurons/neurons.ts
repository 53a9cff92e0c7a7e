/** Neurons, whether of a dense block or of one expert: products with gate and up, activation. */
import type { Kernels } from "../../../wasm/kernels.ts";
import { check } from "../../base/check.ts";
import type { Activation } from "../../model/types.ts";
import type { Dense } from "../bound/bound_blocks.ts";
import { type Activations, project } from "../bound/matrix.ts";
import { addProducts } from "../step/added_products.ts";
import type { StepState } from "../step/step_state.ts";

/**
 * hidden = act(gate · x) · (up · x), or act(up · x) without a gate, of n tokens and this rank's
 * neurons, each at its column of down. It lies in the workspace until the next call. Where the
 * neurons have a threshold of loudness, what is not louder is zero. hasGates: their products are
 * already at `space.gate`.
 */
export function activateNeurons(
  state: StepState,
  neurons: Dense,
  x: Activations,
  n: number,
  hasGates = false,
): Activations {
  const { kernels, space, inputs: { hidden } } = state;
  const { columns, up: { rowCount }, down: { columnCount }, downSums } = neurons;
  if (columns === 0) {
    activate(state, neurons, x, n, hasGates, hidden.f32, hidden.stride);
    if (downSums !== 0) {
      kernels.add_squares_f32(hidden.f32, hidden.stride, n, columnCount, downSums);
    }
    return hidden;
  }
  activate(state, neurons, x, n, hasGates, space.gate, rowCount);
  for (let t = 0; t < n; t++) {
    const row = hidden.f32 + t * hidden.stride * 4;
    kernels.scatter_f32(space.gate + t * rowCount * 4, columns, rowCount, row, hidden.stride);
  }
  return hidden;
}

/** The same, one neuron behind the other, into rows at `to`, `stride` apart, or of the gates. */
function activate(
  state: StepState,
  neurons: Dense,
  x: Activations,
  n: number,
  hasGates: boolean,
  to: number,
  stride: number,
): void {
  const { kernels, space, fractions: { firingThreshold }, config: { feedForward } } = state;
  const { gate, up, threshold, curve } = neurons;
  const width = up.rowCount;
  project(kernels, up, x, n, space.up, width);
  addProducts(state, up, x, space.up, width);
  if (gate !== null && !hasGates) {
    project(kernels, gate, x, n, space.gate, width);
    addProducts(state, gate, x, space.gate, width);
  }
  if (feedForward.firingThreshold > 0) {
    const decides = gate === null ? space.up : space.gate;
    kernels.cut_below_f32(decides, width, n, width, firingThreshold);
  }
  if (curve !== 0) {
    return kernels.xielu_f32(space.up, width, to, stride, n, width, curve);
  }
  const { gateLimit, upLimit } = neurons;
  if (gateLimit !== null && upLimit !== null) {
    kernels.silu_f32(space.gate, width, to, stride, n, width);
    // What SiLU has below 0 is above −0.3, which no limit is below.
    kernels.clamp_f32(to, stride, n, width, gateLimit);
    kernels.clamp_f32(space.up, width, n, width, upLimit);
    return multiplyRows(state, to, stride, n, width);
  }
  if (feedForward.softCaps !== undefined) return multiplyCapped(state, to, stride, n, width);
  const alone = aloneKernel(kernels, feedForward.activation);
  if (gate === null) {
    alone(space.up, width, to, stride, n, width);
    if (threshold !== null) kernels.hush_f32(to, stride, n, width, threshold);
    return;
  }
  if (feedForward.activatesUp) alone(space.up, width, space.up, width, n, width);
  if (threshold !== null) {
    alone(space.gate, width, to, stride, n, width);
    kernels.hush_f32(to, stride, n, width, threshold);
    return multiplyRows(state, to, stride, n, width);
  }
  const gated = gatedKernel(kernels, feedForward.activation);
  gated(space.gate, space.up, width, to, stride, n, width);
}

/** Rows at `rows` = σ(gate) ⊙ cap(gate) ⊙ cap(up), caps being soft; they may be the gates'. */
function multiplyCapped(
  state: StepState,
  rows: number,
  stride: number,
  n: number,
  width: number,
): void {
  const { kernels, space: { gate, up }, fractions: { gateCap, upCap } } = state;
  if (upCap > 0) kernels.soft_cap_f32(up, n * width, upCap);
  if (rows === gate) {
    kernels.sigmoid_mul_f32(gate, up, width, up, width, n, width);
    kernels.soft_cap_f32(gate, n * width, gateCap);
    return multiplyRows(state, rows, stride, n, width);
  }
  kernels.sigmoid_mul_f32(gate, up, width, rows, stride, n, width);
  kernels.soft_cap_f32(gate, n * width, gateCap);
  for (let t = 0; t < n; t++) {
    kernels.mul_weight_f32(rows + t * stride * 4, stride, gate + t * width * 4, 1, width);
  }
}

/** Rows at `rows` ⊙= up, token by token. */
function multiplyRows(
  { kernels, space }: StepState,
  rows: number,
  stride: number,
  n: number,
  width: number,
): void {
  for (let t = 0; t < n; t++) {
    const row = rows + t * stride * 4;
    kernels.mul_weight_f32(row, stride, space.up + t * width * 4, 1, width);
  }
}

/** The activation by itself. */
export function aloneKernel(kernels: Kernels, activation: Activation): Kernels["silu_f32"] {
  switch (activation) {
    case "silu":
      return kernels.silu_f32;
    case "gelu":
      return kernels.gelu_f32;
    case "geluErf":
      return kernels.gelu_erf_f32;
    case "relu":
      return kernels.relu_f32;
    case "relu2":
      return kernels.relu2_f32;
    case "swiglu7":
      return kernels.swiglu7_f32;
    case "quickGelu":
      return kernels.quick_gelu_f32;
    case "xielu":
      check(false, "it needs a curve, too");
  }
}

/** The activation times a second input. */
export function gatedKernel(kernels: Kernels, activation: Activation): Kernels["silu_mul_f32"] {
  switch (activation) {
    case "silu":
      return kernels.silu_mul_f32;
    case "gelu":
      return kernels.gelu_mul_f32;
    case "relu":
      return kernels.relu_mul_f32;
    case "relu2":
      return kernels.relu2_mul_f32;
    case "swiglu7":
      return kernels.swiglu7_mul_f32;
    case "quickGelu":
      return kernels.quick_gelu_mul_f32;
    case "geluErf":
    case "xielu":
      check(false, "its neurons have no gates");
  }
}
