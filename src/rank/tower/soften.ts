/** Softmax of rows, in place. */

/** Each of n rows, `stride` apart: shares of `length` numbers, 1 all together, and zeros behind. */
export function soften(rows: Float32Array, stride: number, n: number, length: number): void {
  for (let row = 0; row < n; row++) {
    const at = row * stride, end = at + length;
    let most = -Infinity;
    for (let i = at; i < end; i++) if (rows[i] > most) most = rows[i];
    let total = 0;
    for (let i = at; i < end; i++) total += rows[i] = Math.exp(rows[i] - most);
    for (let i = at; i < end; i++) rows[i] /= total;
    rows.fill(0, end, at + stride);
  }
}
