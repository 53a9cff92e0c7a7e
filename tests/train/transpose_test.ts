import { assertEquals } from "@std/assert";
import { transpose } from "../../src/train/transpose.ts";

Deno.test("transpose() turns rows into columns and touches nothing else", () => {
  for (const [rows, columns] of [[1, 1], [3, 40], [17, 16], [33, 50]]) {
    const from = {
      values: Float32Array.from({ length: rows * (columns + 3) }, (_, i) => i),
      stride: columns + 3,
    };
    const to = { values: new Float32Array(columns * (rows + 2)).fill(-1), stride: rows + 2 };
    transpose(from, to, { rows, columns });
    for (let c = 0; c < columns; c++) {
      for (let r = 0; r < rows + 2; r++) {
        const expected = r < rows ? r * (columns + 3) + c : -1;
        assertEquals(to.values[c * (rows + 2) + r], expected);
      }
    }
  }
});
