// Part of a product with one token: sums over a row's invocations, by a tree.

var<workgroup> laneSums: array<vec2<f32>, LANES>;

// What all invocations of a row come to; all of the workgroup come here.
fn sumUp(mine: vec2<f32>, lane: u32, place: u32, size: u32) -> vec2<f32> {
  let slot = slotOf(lane);
  let at = rowOf(lane) * ROW_LANES + slot;
  laneSums[at] = mine;
  for (var half = ROW_LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (slot < half) { laneSums[at] += laneSums[at + half]; }
  }
  workgroupBarrier();
  return laneSums[at - slot];
}
