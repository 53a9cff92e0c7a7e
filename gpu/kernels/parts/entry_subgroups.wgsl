// Part of a shader that sums up by subgroups: its entry. `place` is that in a subgroup.

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) place: u32,
  @builtin(subgroup_size) size: u32,
) {
  run(workgroup, lane, place, size);
}
