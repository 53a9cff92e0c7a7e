// Part of a product with one token: sums over a row's invocations, by a tree.

var<workgroup> laneSums: array<vec3<f32>, LANES>;

// What all invocations of a row come to; all of the workgroup come here.
fn sumUp(mine: vec3<f32>, lane: u32, place: u32, size: u32) -> vec3<f32> {
  laneSums[lane] = mine;
  for (var half = ROW_LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % ROW_LANES < half) { laneSums[lane] += laneSums[lane + half]; }
  }
  workgroupBarrier();
  return laneSums[lane - lane % ROW_LANES];
}
