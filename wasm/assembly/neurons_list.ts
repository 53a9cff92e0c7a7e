// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Which neurons one token adds up: places of a list, or all, with or without those that are 0. */

/** The first place from j on whose value counts, or `count`. */
@inline
export function next_row(values: usize, j: u32, count: u32, skips: bool): u32 {
  if (skips) while (j < count && load<f32>(values + (j << 2)) == 0) j++;
  return j;
}

/** The neuron at place j; list 0: j itself. */
@inline
export function row_at(list: usize, j: u32, last: u32): u32 {
  return list == 0 ? min(j, last) : min(load<u32>(list + (j << 2)), last);
}

@inline
export function value_at(values: usize, j: u32): f32 {
  return load<f32>(values + (j << 2));
}
