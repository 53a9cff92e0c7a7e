// Part of a product with few tokens: sums over a row's invocations of a workgroup of 128 by
// subgroups, whose invocations must be neighbours, at most 32: the autotune looks.

var<workgroup> lowSums: array<vec4<f32>, 32>; // by subgroup, of 4 and more
var<workgroup> highSums: array<vec4<f32>, 32>;

// What all invocations of a row come to; all of the workgroup come here.
fn sumUp(mine: Sums, lane: u32, place: u32, size: u32) -> Sums {
  var sums = Sums(subgroupAdd(mine.low), vec4(0.0));
  if (TOKENS >= 8u) { sums.high = subgroupAdd(mine.high); }
  if (size < ROW_LANES) {
    if (place == 0u) {
      lowSums[lane / size] = sums.low;
      highSums[lane / size] = sums.high;
    }
    workgroupBarrier();
    let begin = (lane - lane % ROW_LANES) / size;
    sums = Sums(vec4(0.0), vec4(0.0));
    for (var i = begin; i < begin + ROW_LANES / size; i++) {
      sums.low += lowSums[i];
      sums.high += highSums[i];
    }
  }
  return sums;
}
