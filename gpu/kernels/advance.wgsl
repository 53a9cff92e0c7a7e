// The next token's step over that of the one before, with the id that was chosen: step_chain.ts.
//
// | binding | what | shape |
// |---|---|---|
// | step | header and record; words INDEX, NEXT: places of the token and of the next one | [WORDS] |
// | table | steps of chains | [places, WORDS] |
// | chosen | see choose.wgsl | [places, CHOSEN_WORDS] |
//
// Grid: [1].

@group(0) @binding(0) var<storage, read_write> step: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> chosen: array<u32>;

override WORDS: u32;
override INDEX: u32;
override NEXT: u32;
override ID: u32; // word of the record that the id goes to
override CHOSEN_WORDS: u32;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  let done = step[INDEX];
  let next = step[NEXT];
  storageBarrier(); // all of the workgroup have read it
  workgroupBarrier();
  for (var i = lane; i < WORDS; i += 256u) {
    let word = table[next * WORDS + i];
    step[i] = select(word, chosen[done * CHOSEN_WORDS], i == ID);
  }
}
