// Each stream, and all of them as much as a token's modes say (alternating updates), in place:
//   streams[t, j, i] += Σ_k streams[t, k, i] · Σ_m factors[j, k, m] · tanh(modes[t, m])
// to = the first of them then.
//
// | binding | what | shape |
// |---|---|---|
// | modes | f32 | [tokens, MODES_STRIDE] |
// | factors | f32 | [STREAMS, STREAMS, STREAMS] |
// | streams | f32; a stream every STREAM_STRIDE | [tokens, STREAMS · STREAM_STRIDE] |
// | to | f32 | [tokens, STREAM_STRIDE] |
//
// An invocation makes one value of all streams. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<storage, read_write> modes: array<f32>;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> streams: array<f32>;
@group(0) @binding(3) var<storage, read_write> to: array<f32>;

override WIDTH: u32;
override STREAMS: u32; // at most 8
override STREAM_STRIDE: u32;
override MODES_STRIDE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH) { return; }
  let row = id.y * STREAMS * STREAM_STRIDE + id.x;
  var counts: array<f32, 8>;
  var before: array<f32, 8>;
  for (var j = 0u; j < STREAMS; j++) {
    counts[j] = tanh(clamp(modes[id.y * MODES_STRIDE + j], -20.0, 20.0));
    before[j] = streams[row + j * STREAM_STRIDE];
  }
  for (var j = 0u; j < STREAMS; j++) {
    var sum = before[j];
    for (var k = 0u; k < STREAMS; k++) {
      var factor = 0.0;
      let at = (j * STREAMS + k) * STREAMS;
      for (var m = 0u; m < STREAMS; m++) { factor += factors[at + m] * counts[m]; }
      sum += factor * before[k];
    }
    streams[row + j * STREAM_STRIDE] = sum;
    if (j == 0u) { to[id.y * STREAM_STRIDE + id.x] = sum; }
  }
}
