// The beginning of a chain's next token, of the id that was chosen of the one before: its step over
// that one's (advance.wgsl), its row of the table in the stream (embed_*.wgsl), and half of the
// first norm (half_norm.wgsl), to the bits that these three would leave.
//
// | binding | what | shape |
// |---|---|---|
// | step | header and record | [WORDS] |
// | codes, groups | see parts/table_*.wgsl | |
// | table | steps of chains | [places, WORDS] |
// | choices | see choose.wgsl; from LAST on the places of the token before and of this one | [places, CHOSEN_WORDS] |
// | weight | f32, of the norm | [WIDTH] vec4s |
// | rows | f32: the stream's row from TO_START, the norm's from NORMED_START, if TO_F32 | |
// | int8 | see parts/int8.wgsl | [12 · WIDTH / 32] |
//
// Nobody reads the step here: one workgroup of several writes it. A workgroup has 64 of the table's
// pieces, which are whole pieces of 32 columns. Grid: [⌈ROW_PIECES / 64⌉].

@group(0) @binding(0) var<storage, read_write> step: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<u32>;
@group(0) @binding(4) var<storage, read> choices: array<u32>;
@group(0) @binding(5) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> rows: array<f32>;
@group(0) @binding(7) var<storage, read_write> int8: array<u32>;

override WORDS: u32;
override ID: u32; // word of the record that the id goes to
override CHOSEN_WORDS: u32;
override LAST: u32;
override ROWS: u32;
override ROW_PIECES: u32;
override TO_START: u32; // f32s
override SCALE: f32 = 1.0;

const LANES = 64u;
var<workgroup> own: array<vec4<f32>, 512>; // fours of the workgroup's columns

fn fourOf(at: u32) -> vec4<f32> { return own[at]; }

fn keepFour(at: u32, value: vec4<f32>) {
  rows[at] = value.x;
  rows[at + 1u] = value.y;
  rows[at + 2u] = value.z;
  rows[at + 3u] = value.w;
}

fn keepNormed(at: u32, value: vec4<f32>) { keepFour(at, value); }

fn keepSquares(at: u32, sum: f32) { rows[at] = sum; }

// Columns 4 i … of the row.
fn put(i: u32, value: vec4<f32>) {
  let made = SCALE * value;
  own[i % (LANES * FOURS)] = made;
  keepFour(TO_START + 4u * i, made);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let next = choices[LAST + 1u];
  let id = choices[choices[LAST] * CHOSEN_WORDS];
  if (workgroup.x == 0u) {
    for (var i = lane; i < WORDS; i += LANES) {
      step[i] = select(table[next * WORDS + i], id, i == ID);
    }
  }
  let piece = workgroup.x * LANES + lane;
  if (piece < ROW_PIECES) { putPiece(piece * FOURS, min(id, ROWS - 1u) * ROW_PIECES + piece); }
  workgroupBarrier();
  let first = workgroup.x * LANES * FOURS / 8u;
  for (var i = lane; i < LANES * FOURS / 8u; i += LANES) {
    if (first + i < WIDTH / 32u) { leaveHalf(8u * i, 0u, first + i); }
  }
}
