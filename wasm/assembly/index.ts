/** Every export of kernels.wasm, and nothing else. Contracts: wasm/kernels.ts. */
export { repack, repack_float } from "./repack";
export {
  dequantize_row_bf16,
  dequantize_row_f16,
  dequantize_row_f32,
  dequantize_row_q,
} from "./dequantize";
export { rms_norm_f32 } from "./rms_norm";
export { q8_bytes, quantize_q8 } from "./quantize_q8";
export { matmul_q8 } from "./matmul_q8";
export { matmul_bf16_f32, matmul_f16_f32, matmul_f32_f32 } from "./matmul_float_f32";
export { add_bias_f32, add_f32, silu_mul_f32 } from "./elementwise";
export { rope_f32 } from "./rope";
export { store_f16, store_f32 } from "./store";
export { attention_f16, attention_f32, attention_scratch_bytes } from "./attention";
export { argmax_f32, softmax_f32 } from "./sampling";
export { read_only } from "./read_only";
