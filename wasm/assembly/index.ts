/** Every export of kernels.wasm, and nothing else. Contracts: wasm/kernels.ts. */
export { repack, repack_float } from "./repack";
export {
  dequantize_row_bf16,
  dequantize_row_f16,
  dequantize_row_f32,
  dequantize_row_q,
} from "./dequantize";
export { rms_norm_f32 } from "./rms_norm";
export { head_norm_f32, layer_norm_f32, row_squares_f32 } from "./layer_norm";
export { q8_bytes, quantize_q8 } from "./quantize_q8";
export { matmul_q8, matmul_q8_few, matmul_q8_rows, matmul_q8_two_streams } from "./matmul_q8";
export {
  matmul_bf16_f32,
  matmul_f16_f32,
  matmul_f32_f32,
  matmul_float_rows,
} from "./matmul_float_f32";
export { matmul_q8_columns, matmul_q8_columns_at } from "./columns_q8";
export { repack_columns } from "./repack_columns";
export { repack_transposed } from "./repack_transposed";
export { matmul_fired_neurons, matmul_neurons, neurons_scratch_bytes } from "./neurons";
export { fired_f32, hush_f32, loud_f32, pick_listed, scatter_f32 } from "./fired";
export {
  add_bias_f32,
  add_f32,
  clamp_between_f32,
  clamp_f32,
  cut_below_f32,
  mul_weight_f32,
  scale_f32,
  scale_rows_f32,
  soft_cap_f32,
} from "./elementwise";
export { add_squares_f32 } from "./input_sums";
export {
  gelu_erf_f32,
  gelu_f32,
  gelu_mul_f32,
  quick_gelu_f32,
  quick_gelu_mul_f32,
  relu2_f32,
  relu2_mul_f32,
  relu_f32,
  relu_mul_f32,
  sigmoid_f32,
  sigmoid_mul_f32,
  silu_f32,
  silu_mul_f32,
  softplus_f32,
  swiglu7_f32,
  swiglu7_mul_f32,
} from "./activations";
export { xielu_f32 } from "./xielu";
export {
  gather_q8,
  gather_rows_f32,
  scatter_add_f32,
  scatter_add_row_f32,
  scatter_rows,
} from "./gather";
export { matmul_long_f32, matmul_long_scratch_bytes } from "./matmul_long_f32";
export { rope_f32 } from "./rope";
export { store_keys_f32, store_keys_i16, store_values_f32, store_values_i16 } from "./store";
export { attention_f32, attention_i16, attention_scratch_bytes } from "./attention";
export {
  choose_positions,
  choose_scratch_bytes,
  score_positions_f32,
  score_positions_i16,
} from "./indexer";
export { list_blocks, score_blocks_f32, score_blocks_i16 } from "./block_scores";
export { gather_positions_f32, gather_positions_i16 } from "./gather_positions";
export { scan_deltas_f32 } from "./delta_scan";
export { prepare_added_f32, scan_added_f32, shift_rows_f32 } from "./added_states";
export {
  add_bonus_f32,
  approach_f32,
  prepare_key_deltas_f32,
  prepare_keyed_f32,
  scan_keyed_f32,
} from "./keyed_states";
export { scan_channels_f32, scan_heads_f32 } from "./state_space";
export { state_convolution_f32 } from "./state_convolution";
export { short_convolution_f32, store_products_f32 } from "./convolution";
export { argmax_f32, top_k_f32 } from "./sampling";
export { read_only } from "./read_only";
