/**
 * What the model's file says beside its weights: hyper-parameters, vocabulary, chat template.
 * Knows nothing of how the model was trained.
 */
import { bool, f32, list, type MetadataEntry, text, u32 } from "../../src/gguf/mod.ts";
import type { TrainedTokenizer } from "./train_tokenizer.ts";

/** Ids 0, 1, 2. */
export const SPECIAL: readonly string[] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
export const PRE_TOKENIZER = "gpt-2";

/** GGUF's kinds of token. */
const NORMAL = 1;
const CONTROL = 3;

/** What `renderChat` does with messages. */
const CHAT_TEMPLATE = "{% for message in messages %}" +
  "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** The vocabulary's metadata; a file with it alone tokenizes. */
export function tokenizerMetadata({ tokens, merges }: TrainedTokenizer): MetadataEntry[] {
  const types = new Int32Array(tokens.length).fill(NORMAL);
  types.fill(CONTROL, 0, SPECIAL.length);
  return [
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text(PRE_TOKENIZER)],
    ["tokenizer.ggml.tokens", list(tokens)],
    ["tokenizer.ggml.token_type", list(types)],
    ["tokenizer.ggml.merges", list(merges)],
    ["tokenizer.ggml.bos_token_id", u32(0)],
    ["tokenizer.ggml.eos_token_id", u32(SPECIAL.indexOf("<|im_end|>"))],
    ["tokenizer.ggml.eot_token_id", u32(SPECIAL.indexOf("<|im_end|>"))],
    ["tokenizer.ggml.add_bos_token", bool(false)],
    ["tokenizer.chat_template", text(CHAT_TEMPLATE)],
  ];
}

/** The trainer's shape of the model, as train.py writes it beside the weights. */
export interface Shape {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly kv_heads: number;
  readonly neurons: number;
  readonly vocabulary: number;
  readonly context: number;
  readonly rope_base: number;
  readonly epsilon: number;
}

/** The model's own metadata: a Llama whose gate and up pass through ReLU is a "bamboo". */
export function modelMetadata(shape: Shape): MetadataEntry[] {
  const key = (name: string) => `bamboo.${name}`;
  return [
    ["general.architecture", text("bamboo")],
    ["general.name", text("Ganglion built-in")],
    ["general.license", text("mit")],
    ["general.file_type", u32(0)],
    [key("block_count"), u32(shape.layers)],
    [key("context_length"), u32(shape.context)],
    [key("embedding_length"), u32(shape.width)],
    [key("feed_forward_length"), u32(shape.neurons)],
    [key("attention.head_count"), u32(shape.heads)],
    [key("attention.head_count_kv"), u32(shape.kv_heads)],
    [key("attention.layer_norm_rms_epsilon"), f32(shape.epsilon)],
    [key("rope.freq_base"), f32(shape.rope_base)],
    [key("rope.dimension_count"), u32(shape.width / shape.heads)],
    [key("vocab_size"), u32(shape.vocabulary)],
  ];
}
