// What neurons give on, of one token: act(gate) · up, of rows i and NEURONS + i of W · x + bias;
// without gates act(up). The same in 8 bits where TO_INT8.
//
// | binding | what | shape |
// |---|---|---|
// | step | – | – |
// | codes, groups | weights: gates, then ups | see the part with the product |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | the token's row | see the part with the product |
// | to | f32, if TO_F32 | [NEURONS], from TO_START |
// | int8 | see parts/int8.wgsl | [12 · NEURONS / 32] |
//
// A workgroup makes 32 neurons, a piece of 8 bits: ROW_LANES neighbouring invocations have a neuron,
// both of its rows. Grid: [⌈NEURONS / 32⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;
@group(0) @binding(6) var<storage, read_write> int8: array<u32>;

override NEURONS: u32;
override TO_F32: bool;
override TO_INT8: bool;

var<workgroup> byNeuron: array<f32, 32>;

fn run(workgroup: vec3<u32>, lane: u32, place: u32, size: u32) {
  let own = lane / ROW_LANES;
  let neuron = workgroup.x * 32u + own;
  let gateRow = min(neuron, NEURONS - 1u);
  let upRow = select(gateRow, NEURONS + gateRow, IS_GATED);
  var parts = vec3(0.0, 0.0, squaresPart(lane));
  if (IS_GATED) {
    let pair = pairPart(gateRow, upRow, lane);
    parts.x = pair.x;
    parts.y = pair.y;
  } else {
    parts.y = rowPart(upRow, lane);
  }
  let sums = sumUp(parts, lane, place, size);
  if (lane % ROW_LANES == 0u) {
    let factor = factorOf(sums.z);
    let up = withBias(upRow, factor * sums.y);
    var gate = up;
    if (IS_GATED) { gate = withBias(gateRow, factor * sums.x); }
    let value = firedBy(gate, up);
    byNeuron[own] = value;
    if (TO_F32 && neuron < NEURONS) { to[TO_START + neuron] = value; }
  }
  if (!TO_INT8) { return; }
  workgroupBarrier();
  let isThere = lane < 8u;
  let at = select(0u, 4u * lane, isThere);
  let four = vec4(byNeuron[at], byNeuron[at + 1u], byNeuron[at + 2u], byNeuron[at + 3u]);
  putInt8(four, lane, 0u, NEURONS / 32u, workgroup.x * 8u + lane, isThere);
}
