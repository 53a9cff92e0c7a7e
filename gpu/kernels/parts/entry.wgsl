// Part of a shader that sums up without subgroups: its entry.

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  run(workgroup, lane, 0u, 0u);
}
