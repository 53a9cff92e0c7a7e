// Part of an attention shader that reads a cache of f16: eight dimensions at a time.

struct Eight { a: vec4<f32>, b: vec4<f32> }

fn eight(words: vec4<u32>) -> Eight {
  let a = vec4(unpack2x16float(words.x), unpack2x16float(words.y));
  return Eight(a, vec4(unpack2x16float(words.z), unpack2x16float(words.w)));
}
