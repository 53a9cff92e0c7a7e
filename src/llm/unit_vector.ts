/** Vectors whose dot product is the cosine of the angle between them. */

/** `vector` with length 1; one of zeros stays as it is. */
export function unitVector(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length > 0 ? vector.map((value) => value / length) : vector;
}
