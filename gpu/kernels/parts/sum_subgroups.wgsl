// Part of a product with one token: sums over a row's invocations by subgroups, whose invocations
// must be neighbours: the autotune looks. Their size is a power of two.

var<workgroup> subgroupSums: array<vec2<f32>, LANES>; // by row, of its neighbours

// What all invocations of a row come to, for the first of them; all of the workgroup come here, and
// where squares were gathered wait for one another.
fn sumUp(mine: vec2<f32>, lane: u32, place: u32, size: u32) -> vec2<f32> {
  let near = min(size, SIDE);
  var sums = mine;
  for (var step = 1u; step < near; step *= 2u) { sums += subgroupShuffleXor(sums, step); }
  let count = ROW_LANES / near;
  if (count > 1u) {
    let slot = slotOf(lane);
    let begin = rowOf(lane) * count;
    if (slot % near == 0u) { subgroupSums[begin + slot / near] = sums; }
    workgroupBarrier();
    if (slot == 0u) {
      for (var i = 1u; i < count; i++) { sums += subgroupSums[begin + i]; }
    }
  } else if (IS_DEFERRED) {
    workgroupBarrier(); // squares are there
  }
  return sums;
}
