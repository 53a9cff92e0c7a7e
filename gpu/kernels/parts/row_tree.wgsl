// Part of a product with few tokens: sums over a row's invocations of a workgroup of 128, by a tree.

var<workgroup> lowSums: array<vec4<f32>, 128>; // by invocation
var<workgroup> highSums: array<vec4<f32>, 128>;

// What all invocations of a row come to; all of the workgroup come here.
fn sumUp(mine: Sums, lane: u32, place: u32, size: u32) -> Sums {
  lowSums[lane] = mine.low;
  if (TOKENS >= 8u) { highSums[lane] = mine.high; }
  for (var half = ROW_LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % ROW_LANES < half) {
      lowSums[lane] += lowSums[lane + half];
      if (TOKENS >= 8u) { highSums[lane] += highSums[lane + half]; }
    }
  }
  workgroupBarrier();
  let begin = lane - lane % ROW_LANES;
  return Sums(lowSums[begin], highSums[begin]);
}
