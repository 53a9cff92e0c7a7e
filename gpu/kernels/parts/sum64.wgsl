// Part of a shader whose workgroups of 64 sum up over all invocations.

const LANES = 64u;
var<workgroup> parts: array<f32, 64>;

// The sum of what all invocations give.
fn sumOf(value: f32, lane: u32) -> f32 {
  workgroupBarrier(); // the sum before was read
  parts[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { parts[lane] += parts[lane + half]; }
    workgroupBarrier();
  }
  return parts[0];
}
