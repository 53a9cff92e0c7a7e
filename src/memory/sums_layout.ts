/**
 * Sums over what a matrix's products read, in an arena: f64 [slabs, 1 + columns], of each slab how
 * many rows were read, then each column's sum of squares. A slab is one of the matrices that a
 * tensor of three dimensions has one behind the other, and whatever another tensor's rows are.
 */

/** Of one slab. */
export function slabBytes(columns: number): number {
  return 8 * (1 + columns);
}
