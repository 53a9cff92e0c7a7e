// deno-fmt-ignore-file: deno fmt removes decorators, and @inline is one.
/** Packed rows back to floats: token embeddings. out f32 [k], nothing beyond is written. */
import {
  TYPE_E0M4,
  TYPE_IQ1_M,
  TYPE_IQ1_M_W,
  TYPE_IQ1_S,
  TYPE_IQ1_S_W,
  TYPE_IQ2_S,
  TYPE_IQ2_S_W,
  TYPE_IQ2_XS,
  TYPE_IQ2_XS_W,
  TYPE_IQ2_XXS,
  TYPE_IQ2_XXS_W,
  TYPE_IQ3_S,
  TYPE_IQ3_S_W,
  TYPE_IQ3_XXS,
  TYPE_IQ3_XXS_W,
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
  TYPE_TQ1_0_W,
  TYPE_TQ2_0,
} from "../../src/memory/row_layout";
import { check_bytes } from "./bounds";
import { is_wide } from "./format";
import { IQ4_XS, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from "./formats_256";
import { IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from "./formats_32";
import { NVFP4 } from "./formats_64";
import { IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS } from "./formats_codebook";
import {
  OddLevels,
  OddLevelsByHalves,
  SixLevels,
  SixLevelsByHalves,
  SixteenLevels,
} from "./formats_levels";
import { Q1_0, Q2_0, TQ1_0, TQ2_0 } from "./formats_ternary";
import { Pairs } from "./product_sums";
import { superblocks_of } from "./q8_tile";
import { f16_at, f16_bits_to_f32x4, F16_MASK, TWO_POW_112 } from "./simd";
import {
  FORM_C,
  FORM_D,
  FORM_L,
  FORM_M,
  FORM_QUANTS,
  row_bytes,
  SCRATCH_BYTES,
  superblock_bytes,
  take_apart,
} from "./superblock_form";

/** Quantised rows; traps on a type that is not quantised. */
export function dequantize_row_q(type: u32, row: usize, k: u32, out: usize, scratch: usize): void {
  check_bytes(out, <u64>k << 2);
  check_bytes(scratch, SCRATCH_BYTES);
  switch (type) {
    case TYPE_Q4_0: return row_to_floats<Q4_0>(row, k, out, scratch);
    case TYPE_E0M4: // packed as Q4_1
    case TYPE_Q4_1: return row_to_floats<Q4_1>(row, k, out, scratch);
    case TYPE_Q5_0: return row_to_floats<Q5_0>(row, k, out, scratch);
    case TYPE_Q5_1: return row_to_floats<Q5_1>(row, k, out, scratch);
    case TYPE_Q8_0: return row_to_floats<Q8_0>(row, k, out, scratch);
    case TYPE_Q2_K: return row_to_floats<Q2_K>(row, k, out, scratch);
    case TYPE_Q3_K: return row_to_floats<Q3_K>(row, k, out, scratch);
    case TYPE_Q4_K: return row_to_floats<Q4_K>(row, k, out, scratch);
    case TYPE_Q5_K: return row_to_floats<Q5_K>(row, k, out, scratch);
    case TYPE_Q6_K: return row_to_floats<Q6_K>(row, k, out, scratch);
    case TYPE_IQ4_NL: return row_to_floats<IQ4_NL>(row, k, out, scratch);
    case TYPE_IQ4_XS: return row_to_floats<IQ4_XS>(row, k, out, scratch);
    case TYPE_MXFP4: return row_to_floats<MXFP4>(row, k, out, scratch);
    case TYPE_NVFP4S: // packed as NVFP4
    case TYPE_NVFP4: return row_to_floats<NVFP4>(row, k, out, scratch);
    case TYPE_IQ2_XXS: return row_to_floats<IQ2_XXS>(row, k, out, scratch);
    case TYPE_IQ2_XS: return row_to_floats<IQ2_XS>(row, k, out, scratch);
    case TYPE_IQ3_XXS: return row_to_floats<IQ3_XXS>(row, k, out, scratch);
    case TYPE_IQ1_S: return row_to_floats<IQ1_S>(row, k, out, scratch);
    case TYPE_IQ3_S: return row_to_floats<IQ3_S>(row, k, out, scratch);
    case TYPE_IQ2_S: return row_to_floats<IQ2_S>(row, k, out, scratch);
    case TYPE_IQ1_M: return row_to_floats<IQ1_M>(row, k, out, scratch);
    case TYPE_TQ1_0: return row_to_floats<TQ1_0>(row, k, out, scratch);
    case TYPE_TQ1_0_W: // packed as TQ2_0
    case TYPE_TQ2_0: return row_to_floats<TQ2_0>(row, k, out, scratch);
    case TYPE_Q1_0: return row_to_floats<Q1_0>(row, k, out, scratch);
    case TYPE_Q2_0: return row_to_floats<Q2_0>(row, k, out, scratch);
    case TYPE_IQ1_M_W: return row_to_floats<OddLevelsByHalves>(row, k, out, scratch);
    case TYPE_IQ1_S_W:
    case TYPE_IQ3_S_W: return row_to_floats<OddLevels>(row, k, out, scratch);
    case TYPE_IQ2_S_W:
    case TYPE_IQ2_XS_W: return row_to_floats<SixLevelsByHalves>(row, k, out, scratch);
    case TYPE_IQ2_XXS_W: return row_to_floats<SixLevels>(row, k, out, scratch);
    case TYPE_IQ3_XXS_W: return row_to_floats<SixteenLevels>(row, k, out, scratch);
    default: unreachable();
  }
}

/** Superblock after superblock is taken apart, and its weights are put together one by one. */
function row_to_floats<F>(row: usize, k: u32, out: usize, scratch: usize): void {
  const f = changetype<F>(0);
  const superblocks = superblocks_of(k);
  check_bytes(row, row_bytes<F>(superblocks));
  for (let i: u32 = 0; i < k; i++) {
    if ((i & 255) == 0) {
      take_apart<F, Pairs>(row + (i >> 8) * superblock_bytes<F>(), 1, scratch);
    }
    store<f32>(out + (i << 2), weight<F>(scratch, i & 255));
  }
}

/** Weight i of a superblock. */
@inline
function weight<F>(form: usize, i: u32): f32 {
  const f = changetype<F>(0);
  const block = i >> 5, half = (i >> 4) & 1;
  const at = form + FORM_QUANTS + ((i & 14) << 4) + 4 * block + 2 * half + (i & 1);
  let q = <i32>load<u8>(at);
  q = is_wide<F>() ? q + 16 * (<i32>load<u8>(at, 256) - f.offset) : q - f.offset;
  if (isDefined(f.lowOffset)) q -= f.lowOffset;
  let scale = load<f32>(form + 4 * block, FORM_D);
  if (isDefined(f.l)) scale *= <f32>load<i16>(form + 4 * block + 2 * half, FORM_L);
  const product = scale * <f32>q;
  if (!isDefined(f.c)) return product;
  const c = load<f32>(form + 4 * block, FORM_C);
  if (!isDefined(f.m)) return product + c;
  return product - c * <f32>load<i16>(form + 4 * block + 2 * half, FORM_M);
}

/** f32: a copy. */
export function dequantize_row_f32(row: usize, k: u32, out: usize): void {
  check_bytes(row, <u64>k << 2);
  check_bytes(out, <u64>k << 2);
  memory.copy(out, row, <usize>k << 2);
}

/** f16 to f32, exact; infinities and NaN come out as finite numbers. */
export function dequantize_row_f16(row: usize, k: u32, out: usize): void {
  check_bytes(row, <u64>k << 1);
  check_bytes(out, <u64>k << 2);
  const whole = k & ~3;
  const owed = f32x4.splat(TWO_POW_112);
  for (let i: u32 = 0; i < whole; i += 4) {
    v128.store(
      out + (i << 2),
      f32x4.mul(f16_bits_to_f32x4(v128.load_ext<i16>(row + (i << 1)), i32x4.splat(F16_MASK)), owed),
    );
  }
  for (let i = whole; i < k; i++) store<f32>(out + (i << 2), f16_at(row + (i << 1)));
}

/** bf16 to f32, exact. */
export function dequantize_row_bf16(row: usize, k: u32, out: usize): void {
  check_bytes(row, <u64>k << 1);
  check_bytes(out, <u64>k << 2);
  const whole = k & ~3;
  for (let i: u32 = 0; i < whole; i += 4) {
    v128.store(out + (i << 2), i32x4.shl(v128.load_ext<u16>(row + (i << 1)), 16));
  }
  for (let i = whole; i < k; i++) {
    store<u32>(out + (i << 2), <u32>load<u16>(row + (i << 1)) << 16);
  }
}
