// Part of a shader whose workgroups have LANES invocations, a power of two; `byLane` is in
// parts/int8_write.wgsl.

// The sum of what all invocations give.
fn sumOf(value: f32, lane: u32) -> f32 {
  workgroupBarrier(); // the sum before was read
  byLane[lane] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { byLane[lane] += byLane[lane + half]; }
  }
  workgroupBarrier();
  return byLane[0];
}
