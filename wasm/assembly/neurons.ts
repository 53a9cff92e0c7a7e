// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/**
 * Products with a matrix that is kept neuron by neuron: row i is what neuron i gives to all
 * outputs, so that out[t, r] = Σ_i x[t, i] · w[i, r], and a neuron is read or left out as a whole.
 * Rows are those of row_layout.ts, of any type. Which kernel does what: one token adds rows up
 * (neurons_float.ts, neurons_nibbles.ts of Q4_0, neurons_quant.ts of the rest), several multiply
 * panels of floats (neurons_panel.ts).
 */
import {
  TYPE_E0M4,
  TYPE_IQ1_M,
  TYPE_IQ1_S,
  TYPE_IQ2_S,
  TYPE_IQ2_XS,
  TYPE_IQ2_XXS,
  TYPE_IQ3_S,
  TYPE_IQ3_XXS,
  TYPE_IQ4_NL,
  TYPE_IQ4_XS,
  TYPE_MXFP4,
  TYPE_NVFP4,
  TYPE_NVFP4S,
  TYPE_Q1_0,
  TYPE_Q2_0,
  TYPE_Q2_K,
  TYPE_Q3_K,
  TYPE_Q4_0,
  TYPE_Q4_1,
  TYPE_Q4_K,
  TYPE_Q5_0,
  TYPE_Q5_1,
  TYPE_Q5_K,
  TYPE_Q6_K,
  TYPE_Q8_0,
  TYPE_TQ1_0,
  TYPE_TQ2_0,
} from "../../src/memory/row_layout";
import { check_bytes, check_f32_rows, check_rows } from "./bounds";
import { SUPERBLOCKS_AT_ONCE } from "./format";
import { IQ4_XS, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from "./formats_256";
import { IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from "./formats_32";
import { NVFP4 } from "./formats_64";
import { IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS } from "./formats_codebook";
import { Q1_0, Q2_0, TQ1_0, TQ2_0 } from "./formats_ternary";
import { add_float_rows } from "./neurons_float";
import { add_nibble_rows, GROUP_BYTES } from "./neurons_nibbles";
import { fill_float_row, fill_quant_row, multiply_filled, PANEL_NEURONS } from "./neurons_panel";
import { add_quant_rows, sums_bytes } from "./neurons_quant";
import { superblocks_of } from "./q8_tile";
import { FORM_BYTES_MAX, row_bytes } from "./superblock_form";

/** Bytes of scratch for d outputs, exact as f64. */
export function neurons_scratch_bytes(d: u32): f64 {
  return <f64>scratch_bytes(d);
}

/** A panel of floats and forms of a row, or sums and forms of four rows, or those of a group. */
@inline
function scratch_bytes(d: u32): u64 {
  const front = max<u64>(((<u64>d + 15) & ~15) * 4 * PANEL_NEURONS, sums_bytes(d));
  return front + max<u32>(4 * SUPERBLOCKS_AT_ONCE * FORM_BYTES_MAX, GROUP_BYTES);
}

/** out[t, r] = Σ_i x[t, i] · w[i, r]; traps on a type that is not known. */
export function matmul_neurons(
  type: u32,
  w: usize,
  rowStride: u32,
  neurons: u32,
  d: u32,
  x: usize,
  xStride: u32,
  n: u32,
  out: usize,
  outStride: u32,
  scratch: usize,
): void {
  check_bytes(scratch, scratch_bytes(d));
  check_f32_rows(x, n, xStride, neurons);
  check_f32_rows(out, n, outStride, d);
  check_weights(type, w, rowStride, neurons, d);
  if (n == 1) {
    add_rows(type, w, rowStride, neurons, d, 0, x, neurons, false, out, scratch);
    return;
  }
  const forms = scratch + ((((<usize>d + 15) & ~15) * PANEL_NEURONS) << 2);
  for (let first: u32 = 0; first < neurons; first += PANEL_NEURONS) {
    const count = min(neurons - first, PANEL_NEURONS);
    for (let i: u32 = 0; i < count; i++) {
      fill_row(type, w + (first + i) * rowStride, d, scratch + 64 * i, forms);
    }
    multiply_filled(scratch, count, d, x + 4 * first, xStride, n, out, outStride, first == 0);
  }
  if (neurons == 0) {
    for (let t: u32 = 0; t < n; t++) memory.fill(out + ((t * outStride) << 2), 0, <usize>d << 2);
  }
}

/**
 * out[r] = Σ_j values[j] · w[list[j], r] over j in 0..count whose value is not 0; list 0: j itself.
 * A number that is no neuron counts as the last one. Returns how many rows were read.
 */
export function matmul_fired_neurons(
  type: u32,
  w: usize,
  rowStride: u32,
  neurons: u32,
  d: u32,
  list: usize,
  values: usize,
  count: u32,
  out: usize,
  scratch: usize,
): u32 {
  check_bytes(scratch, scratch_bytes(d));
  if (list != 0) check_bytes(list, <u64>count << 2);
  check_bytes(values, <u64>count << 2);
  check_bytes(out, <u64>d << 2);
  check_weights(type, w, rowStride, neurons, d);
  if (neurons == 0 && count != 0) unreachable();
  return add_rows(type, w, rowStride, neurons, d, list, values, count, true, out, scratch);
}

function check_weights(type: u32, w: usize, rowStride: u32, neurons: u32, d: u32): void {
  check_rows(w, neurons, rowStride, row_size(type, d));
}

/** Bytes of a row of d weights. */
function row_size(type: u32, d: u32): u64 {
  const floats = (<u64>d + 15) & ~15, superblocks = superblocks_of(d);
  switch (type) {
    case 0: return floats << 2;
    case 1:
    case 30: return floats << 1;
    case TYPE_Q4_0: return row_bytes<Q4_0>(superblocks);
    case TYPE_E0M4: // packed as Q4_1
    case TYPE_Q4_1: return row_bytes<Q4_1>(superblocks);
    case TYPE_Q5_0: return row_bytes<Q5_0>(superblocks);
    case TYPE_Q5_1: return row_bytes<Q5_1>(superblocks);
    case TYPE_Q8_0: return row_bytes<Q8_0>(superblocks);
    case TYPE_Q2_K: return row_bytes<Q2_K>(superblocks);
    case TYPE_Q3_K: return row_bytes<Q3_K>(superblocks);
    case TYPE_Q4_K: return row_bytes<Q4_K>(superblocks);
    case TYPE_Q5_K: return row_bytes<Q5_K>(superblocks);
    case TYPE_Q6_K: return row_bytes<Q6_K>(superblocks);
    case TYPE_IQ4_NL: return row_bytes<IQ4_NL>(superblocks);
    case TYPE_IQ4_XS: return row_bytes<IQ4_XS>(superblocks);
    case TYPE_MXFP4: return row_bytes<MXFP4>(superblocks);
    case TYPE_NVFP4S: // packed as NVFP4
    case TYPE_NVFP4: return row_bytes<NVFP4>(superblocks);
    case TYPE_IQ2_XXS: return row_bytes<IQ2_XXS>(superblocks);
    case TYPE_IQ2_XS: return row_bytes<IQ2_XS>(superblocks);
    case TYPE_IQ3_XXS: return row_bytes<IQ3_XXS>(superblocks);
    case TYPE_IQ1_S: return row_bytes<IQ1_S>(superblocks);
    case TYPE_IQ3_S: return row_bytes<IQ3_S>(superblocks);
    case TYPE_IQ2_S: return row_bytes<IQ2_S>(superblocks);
    case TYPE_IQ1_M: return row_bytes<IQ1_M>(superblocks);
    case TYPE_TQ1_0: return row_bytes<TQ1_0>(superblocks);
    case TYPE_TQ2_0: return row_bytes<TQ2_0>(superblocks);
    case TYPE_Q1_0: return row_bytes<Q1_0>(superblocks);
    case TYPE_Q2_0: return row_bytes<Q2_0>(superblocks);
    default: unreachable();
  }
  return 0;
}

function add_rows(
  type: u32,
  w: usize,
  rowStride: u32,
  neurons: u32,
  d: u32,
  list: usize,
  values: usize,
  count: u32,
  skips: bool,
  out: usize,
  scratch: usize,
): u32 {
  const last = neurons - 1;
  switch (type) {
    case 0: return add_float_rows<f32>(w, rowStride, last, d, list, values, count, skips, out);
    case 1: return add_float_rows<u16>(w, rowStride, last, d, list, values, count, skips, out);
    case 30: return add_float_rows<i16>(w, rowStride, last, d, list, values, count, skips, out);
    case TYPE_Q4_0:
      return add_nibble_rows(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_E0M4: // packed as Q4_1
    case TYPE_Q4_1:
      return add_quant_rows<Q4_1>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_Q5_0:
      return add_quant_rows<Q5_0>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_Q5_1:
      return add_quant_rows<Q5_1>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_Q8_0:
      return add_quant_rows<Q8_0>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_Q2_K:
      return add_quant_rows<Q2_K>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_Q3_K:
      return add_quant_rows<Q3_K>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_Q4_K:
      return add_quant_rows<Q4_K>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_Q5_K:
      return add_quant_rows<Q5_K>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_Q6_K:
      return add_quant_rows<Q6_K>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_IQ4_NL:
      return add_quant_rows<IQ4_NL>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_IQ4_XS:
      return add_quant_rows<IQ4_XS>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_MXFP4:
      return add_quant_rows<MXFP4>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_NVFP4S: // packed as NVFP4
    case TYPE_NVFP4:
      return add_quant_rows<NVFP4>(w, rowStride, last, d, list, values, count, skips, out, scratch);
    case TYPE_IQ2_XXS:
      return add_quant_rows<IQ2_XXS>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_IQ2_XS:
      return add_quant_rows<IQ2_XS>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_IQ3_XXS:
      return add_quant_rows<IQ3_XXS>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_IQ1_S:
      return add_quant_rows<IQ1_S>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_IQ3_S:
      return add_quant_rows<IQ3_S>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_IQ2_S:
      return add_quant_rows<IQ2_S>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_IQ1_M:
      return add_quant_rows<IQ1_M>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_TQ1_0:
      return add_quant_rows<TQ1_0>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_TQ2_0:
      return add_quant_rows<TQ2_0>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_Q1_0:
      return add_quant_rows<Q1_0>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    case TYPE_Q2_0:
      return add_quant_rows<Q2_0>(
        w, rowStride, last, d, list, values, count, skips, out, scratch,
      );
    default: unreachable();
  }
  return 0;
}

/** A row as floats into its place in the panel at `to`. */
function fill_row(type: u32, row: usize, d: u32, to: usize, forms: usize): void {
  switch (type) {
    case 0: return fill_float_row<f32>(row, d, to);
    case 1: return fill_float_row<u16>(row, d, to);
    case 30: return fill_float_row<i16>(row, d, to);
    case TYPE_Q4_0: return fill_quant_row<Q4_0>(row, d, to, forms);
    case TYPE_E0M4: // packed as Q4_1
    case TYPE_Q4_1: return fill_quant_row<Q4_1>(row, d, to, forms);
    case TYPE_Q5_0: return fill_quant_row<Q5_0>(row, d, to, forms);
    case TYPE_Q5_1: return fill_quant_row<Q5_1>(row, d, to, forms);
    case TYPE_Q8_0: return fill_quant_row<Q8_0>(row, d, to, forms);
    case TYPE_Q2_K: return fill_quant_row<Q2_K>(row, d, to, forms);
    case TYPE_Q3_K: return fill_quant_row<Q3_K>(row, d, to, forms);
    case TYPE_Q4_K: return fill_quant_row<Q4_K>(row, d, to, forms);
    case TYPE_Q5_K: return fill_quant_row<Q5_K>(row, d, to, forms);
    case TYPE_Q6_K: return fill_quant_row<Q6_K>(row, d, to, forms);
    case TYPE_IQ4_NL: return fill_quant_row<IQ4_NL>(row, d, to, forms);
    case TYPE_IQ4_XS: return fill_quant_row<IQ4_XS>(row, d, to, forms);
    case TYPE_MXFP4: return fill_quant_row<MXFP4>(row, d, to, forms);
    case TYPE_NVFP4S: // packed as NVFP4
    case TYPE_NVFP4: return fill_quant_row<NVFP4>(row, d, to, forms);
    case TYPE_IQ2_XXS: return fill_quant_row<IQ2_XXS>(row, d, to, forms);
    case TYPE_IQ2_XS: return fill_quant_row<IQ2_XS>(row, d, to, forms);
    case TYPE_IQ3_XXS: return fill_quant_row<IQ3_XXS>(row, d, to, forms);
    case TYPE_IQ1_S: return fill_quant_row<IQ1_S>(row, d, to, forms);
    case TYPE_IQ3_S: return fill_quant_row<IQ3_S>(row, d, to, forms);
    case TYPE_IQ2_S: return fill_quant_row<IQ2_S>(row, d, to, forms);
    case TYPE_IQ1_M: return fill_quant_row<IQ1_M>(row, d, to, forms);
    case TYPE_TQ1_0: return fill_quant_row<TQ1_0>(row, d, to, forms);
    case TYPE_TQ2_0: return fill_quant_row<TQ2_0>(row, d, to, forms);
    case TYPE_Q1_0: return fill_quant_row<Q1_0>(row, d, to, forms);
    case TYPE_Q2_0: return fill_quant_row<Q2_0>(row, d, to, forms);
    default: unreachable();
  }
}
