// What neurons give on, of tokens of a sequence each: act(gate) · up, of rows i and NEURONS + i of W · x + bias;
// without gates act(up). The same in 8 bits where TO_INT8.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes, groups | weights: gates, then ups | see the part with the product |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | tokens' rows | see the part with the product |
// | to | f32, if TO_F32 | [tokens, TO_STRIDE], from TO_START |
// | int8 | see parts/int8.wgsl | [tokens, 12 · NEURONS / 32] |
//
// A workgroup makes 32 neurons, a piece of 8 bits, for TOKENS tokens: ROW_LANES neighbouring
// invocations have a neuron, both of its rows. Of experts it makes them for a route, and TOKENS is 1.
// Grid: [⌈NEURONS / 32⌉, ⌈tokens / TOKENS⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;
@group(0) @binding(6) var<storage, read_write> int8: array<u32>;

override NEURONS: u32;
override TO_F32: bool;
override TO_INT8: bool;

fn run(workgroup: vec3<u32>, lane: u32, place: u32, size: u32) {
  let own = rowOf(lane);
  let neuron = workgroup.x * 32u + own;
  let gateRow = min(neuron, NEURONS - 1u);
  let upRow = select(gateRow, NEURONS + gateRow, IS_GATED);
  let span = spanOf(workgroup.y, TOKENS);
  if (span.first >= span.end) { return; }
  let first = inputOf(span.first);
  let last = inputOf(span.end - 1u);
  gatherSquares(first, last, lane);
  var mine = PairSums(Sums(vec4(0.0), vec4(0.0)), Sums(vec4(0.0), vec4(0.0)));
  if (IS_GATED) { mine = pairSums(span.weights + gateRow, span.weights + upRow, first, last, lane); }
  else { mine.b = sumsFrom((span.weights + upRow) * ROW_PIECES, first, last, lane); }
  for (var t = 0u; t < TOKENS && span.first + t < span.end; t++) {
    let token = outputOf(span.first + t);
    let sums = sumUp(vec2(ofToken(mine.a, t), ofToken(mine.b, t)), lane, place, size);
    if (slotOf(lane) == 0u) {
      let factor = factorOf(t);
      let up = withBias(span.weights + upRow, factor * sums.y);
      var gate = up;
      if (IS_GATED) { gate = withBias(span.weights + gateRow, factor * sums.x); }
      let value = firedBy(gate, up);
      pieces[own / 4u][own % 4u] = value;
      if (TO_F32 && neuron < NEURONS) { to[TO_START + token * TO_STRIDE + neuron] = value; }
    }
    if (TO_INT8) {
      workgroupBarrier();
      if (lane < 8u) { putPieces(lane, token, workgroup.x, NEURONS / 32u); }
    }
    if (TOKENS > 1u) { workgroupBarrier(); } // what is shared was read
  }
}
