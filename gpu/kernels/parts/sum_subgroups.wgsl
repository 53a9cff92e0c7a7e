// Part of a product with one token: sums over a row's invocations by subgroups, whose invocations
// must be neighbours: the autotune looks. Their size is a power of two.

var<workgroup> subgroupSums: array<vec3<f32>, LANES>; // by subgroup

// What all invocations of a row come to; all of the workgroup come here.
fn sumUp(mine: vec3<f32>, lane: u32, place: u32, size: u32) -> vec3<f32> {
  var sums = mine;
  for (var step = 1u; step < min(size, ROW_LANES); step *= 2u) {
    sums += subgroupShuffleXor(sums, step);
  }
  if (size < ROW_LANES) {
    if (place == 0u) { subgroupSums[lane / size] = sums; }
    workgroupBarrier();
    let begin = (lane - lane % ROW_LANES) / size;
    sums = vec3(0.0);
    for (var i = begin; i < begin + ROW_LANES / size; i++) { sums += subgroupSums[i]; }
  }
  return sums;
}
