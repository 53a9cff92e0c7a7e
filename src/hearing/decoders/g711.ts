/** A byte of a telephone's sample to a number of -1 to 1, by both laws (ITU-T G.711). */

/** By µ-law: of all bits the other value, then a sign, three bits of a power, four of a part. */
export const MU_LAW = table((byte) => {
  const bits = ~byte;
  const size = ((bits & 15) << 3) + 132 << (bits >> 4 & 7);
  return (bits & 128) !== 0 ? 132 - size : size - 132;
});

/** By A-law: of every other bit the other value; a power of 0 is no power. */
export const A_LAW = table((byte) => {
  const bits = byte ^ 0x55;
  const power = bits >> 4 & 7;
  const part = ((bits & 15) << 4) + 8;
  const size = power === 0 ? part : part + 256 << power - 1;
  return (bits & 128) !== 0 ? size : -size;
});

function table(of: (byte: number) => number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, byte) => of(byte) / 2 ** 15);
}
