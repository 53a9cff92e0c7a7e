// maxima[p, c] = the largest key of the logits in column c of part p. A row is LANES logits, so that
// ids that are neighbours, which are often likely together, lie in different columns.
//
// | binding | what | shape |
// |---|---|---|
// | logits | bits of f32 | [WIDTH], from X_START |
// | maxima | keys | [parts, LANES] |
//
// Keys: parts/logit_keys.wgsl. A workgroup makes a part, PART_ROWS rows. Grid: [parts].

@group(0) @binding(0) var<storage, read_write> logits: array<u32>;
@group(0) @binding(1) var<storage, read_write> maxima: array<u32>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  var most = 0u;
  for (var row = 0u; row < PART_ROWS; row++) {
    let id = (group.x * PART_ROWS + row) * LANES + lane;
    if (id < WIDTH) { most = max(most, keyOf(logits[X_START + id])); }
  }
  maxima[group.x * LANES + lane] = most;
}
