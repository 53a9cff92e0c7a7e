// Guessed streams are put right by what a layer made of the first one, as much as a token's modes say
// (alternating updates), in place:
//   streams[t, j, i] += (made[t, i] − streams[t, 0, i]) · (1 + Σ_m factors[j, m] · tanh(modes[t, m]))
// made = the first of them then, times scale[i].
//
// | binding | what | shape |
// |---|---|---|
// | modes | f32 | [tokens, MODES_STRIDE] |
// | factors | f32 | [STREAMS, STREAMS] |
// | scale | f32 | [WIDTH] |
// | streams | f32; a stream every STREAM_STRIDE | [tokens, STREAMS · STREAM_STRIDE] |
// | made | f32 | [tokens, STREAM_STRIDE] |
//
// An invocation makes one value of all streams. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<storage, read_write> modes: array<f32>;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> streams: array<f32>;
@group(0) @binding(4) var<storage, read_write> made: array<f32>;

override WIDTH: u32;
override STREAMS: u32;
override STREAM_STRIDE: u32;
override MODES_STRIDE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH) { return; }
  let row = id.y * STREAMS * STREAM_STRIDE + id.x;
  let own = id.y * STREAM_STRIDE + id.x;
  let more = made[own] - streams[row];
  for (var j = 0u; j < STREAMS; j++) {
    var factor = 1.0;
    for (var m = 0u; m < STREAMS; m++) {
      factor += factors[j * STREAMS + m] * tanh(clamp(modes[id.y * MODES_STRIDE + m], -20.0, 20.0));
    }
    let sum = streams[row + j * STREAM_STRIDE] + factor * more;
    streams[row + j * STREAM_STRIDE] = sum;
    if (j == 0u) { made[own] = sum * scale[id.x]; }
  }
}
