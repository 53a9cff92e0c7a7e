/** What predictors are judged by: their matrices, multiplied plainly. */

/** matrix [rows, x.length] · x */
export function product(matrix: Float32Array, x: Float32Array): Float32Array {
  return Float32Array.from({ length: matrix.length / x.length }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += matrix[row * x.length + i] * x[i];
    return sum;
  });
}
