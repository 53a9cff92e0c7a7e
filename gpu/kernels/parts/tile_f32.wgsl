// Part of a product with many tokens: the tile of weights in f32, and its product with the inputs.

var<workgroup> wTile: array<vec4<f32>, 512>; // [32 columns, 16 × 4 rows]

// acc [4 tokens, 2 × 4 rows] += the tiles' product.
fn multiply(acc: ptr<function, array<vec4<f32>, 8>>, lane: u32) {
  let rows = 2u * (lane % 8u);
  let tokens4 = lane / 8u;
  for (var k = 0u; k < 32u; k++) {
    let w0 = wTile[k * 16u + rows];
    let w1 = wTile[k * 16u + rows + 1u];
    let value = xTile[k * 8u + tokens4];
    (*acc)[0] += w0 * value.x;
    (*acc)[1] += w1 * value.x;
    (*acc)[2] += w0 * value.y;
    (*acc)[3] += w1 * value.y;
    (*acc)[4] += w0 * value.z;
    (*acc)[5] += w1 * value.z;
    (*acc)[6] += w0 * value.w;
    (*acc)[7] += w1 * value.w;
  }
}
