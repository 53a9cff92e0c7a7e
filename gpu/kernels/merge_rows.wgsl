// COUNT rows of x that follow one another become one of `to`, of its first rows:
//   MERGE 0: side by side; 1: in turns, the first numbers of all of them, then the second ones, …;
//   2: their mean.
//
// | binding | what | shape |
// |---|---|---|
// | x | f32 | [rows · COUNT, X_STRIDE], from X_START |
// | to | f32 | [rows, TO_STRIDE], from TO_START |
//
// An invocation makes one value. Grid: [⌈width of a merged row / 64⌉, rows].

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> to: array<f32>;

override WIDTH: u32; // columns of x
override COUNT: u32;
override MERGE: u32;
override X_START: u32;
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let isMean = MERGE == 2u;
  if (id.x >= select(COUNT * WIDTH, WIDTH, isMean)) { return; }
  let first = X_START + id.y * COUNT * X_STRIDE;
  var value = 0.0;
  if (isMean) {
    for (var i = 0u; i < COUNT; i++) { value += x[first + i * X_STRIDE + id.x]; }
    value /= f32(COUNT);
  } else {
    let isTurns = MERGE == 1u;
    let row = select(id.x / WIDTH, id.x % COUNT, isTurns);
    value = x[first + row * X_STRIDE + select(id.x % WIDTH, id.x / COUNT, isTurns)];
  }
  to[TO_START + id.y * TO_STRIDE + id.x] = value;
}
