// As attention.wgsl where it is split into chunks of positions: parts/attention_chunk.wgsl.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | keys | cache, 8 f16 each | [places, KV_HEADS, HEAD_DIM / 8] vec4<u32> |
// | values | likewise | |
// | x | f32 queries, heads side by side | [tokens, X_STRIDE] vec4s, from X_START |
// | to | what chunks leave | [tokens, HEADS, CHUNKS, HEAD_DIM / 4 + 1] vec4s |
// | records | see parts/sequences.wgsl | [tokens, RECORD], then tables |
//
// Grid: [⌈tokens · GROUP_SIZE / 4⌉, KV_HEADS, ⌈positions / CHUNK⌉]; where IS_APART
// [tokens · ⌈GROUP_SIZE / 4⌉, …].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> values: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> records: array<u32>;

fn keep(at: u32, value: vec4<f32>) { to[at] = value; }

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  if (hasChunk(workgroup)) { attendChunk(workgroup, lane); }
}
