// Part of a shader whose weights are codes in groups with factors; `groups` is the shader's.
//
// w = scale · q + offset of q's group.

override GROUP: u32 = 32; // columns of a group: 16 or 32
override FACTORS: u32 = 0; // kind of factors: gpu/weights/formats.ts
override UNIT: f32 = 1.0; // multiplies the bytes of a superblock's groups
override MIDDLE: f32 = 0.0; // level of zero, where factors are scales alone

// Scale and offset of a group.
fn factorsOf(group: u32) -> vec2<f32> {
  if (FACTORS == 0u) { // f16 scale
    let scale = unpack2x16float(groups[group >> 1u])[group & 1u];
    return vec2(scale, -MIDDLE * scale);
  }
  if (FACTORS == 1u) { // f32 scale
    let scale = bitcast<f32>(groups[group]);
    return vec2(scale, -MIDDLE * scale);
  }
  if (FACTORS == 2u) { return unpack2x16float(groups[group]); } // f16 scale, f16 offset
  if (FACTORS == 4u) { return superScaleOf(group); }
  if (FACTORS == 5u) { return superPairOf(group); }
  return vec2(bitcast<f32>(groups[2u * group]), bitcast<f32>(groups[2u * group + 1u]));
}

const SUPERBLOCK = 256u; // columns

// A superblock's f16 scale, then a signed byte for each group.
fn superScaleOf(group: u32) -> vec2<f32> {
  let count = SUPERBLOCK / GROUP;
  let i = group % count;
  let at = group / count * (1u + count / 4u);
  let byte = i32(groups[at + 1u + i / 4u] << (24u - 8u * (i % 4u))) >> 24u;
  let scale = unpack2x16float(groups[at]).x * (UNIT * f32(byte));
  return vec2(scale, -MIDDLE * scale);
}

// A superblock's f16 scale and offset, then integers for both of each group: two bytes of one of 32
// columns, two halves of a byte of one of 16.
fn superPairOf(group: u32) -> vec2<f32> {
  let count = SUPERBLOCK / GROUP;
  let i = group % count;
  let at = group / count * 5u;
  let bits = 4u * GROUP / 16u; // of an integer
  let pair = groups[at + 1u + i * 2u * bits / 32u] >> (i * 2u * bits % 32u);
  let mask = (1u << bits) - 1u;
  let both = vec2(pair & mask, (pair >> bits) & mask);
  return unpack2x16float(groups[at]) * vec2<f32>(both);
}

// Of the lower and of the higher half of 32 columns.
fn factorsOfHalves(piece: u32) -> vec4<f32> {
  if (GROUP == 32u) {
    let both = factorsOf(piece);
    return vec4(both, both);
  }
  return vec4(factorsOf(2u * piece), factorsOf(2u * piece + 1u));
}
