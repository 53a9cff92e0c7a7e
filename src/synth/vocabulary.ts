/**
 * Made-up vocabularies of any size that real tokenizers accept: every piece is reachable by merges
 * of shorter pieces. Knows the metadata of tokenizers; knows nothing of models.
 */
import { check } from "../base/check.ts";
import { bool, list, type MetadataEntry, text, u32 } from "../gguf/mod.ts";

/** GGUF's kinds of token. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const UNUSED = 5;
const BYTE = 6;

const LETTERS = [..."etaoinsrhldcumfpgwybvkxjqz"];
const SYMBOLS = [..."ETAOINSRHLDCUMFPGWYBVKXJQZ0123456789.,;:!?'\"()[]{}<>|/\\-_+=*&%$#@~^`"];
/** SentencePiece's mark for a space. */
const SPACE = "▁";

/** Works with any role; the special tokens' texts are passed in by whoever renders it. */
export const CHAT_TEMPLATE = "{{ bos_token }}{% for message in messages %}" +
  "{{ '<|' + message['role'] + '|>\n' + message['content'] + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";

/**
 * Tokenizer metadata of kind "llama" (SentencePiece): 3 specials, 256 bytes, then pieces by falling
 * score. `size` is at least 259 and one per letter and symbol.
 */
export function sentencePieceVocabulary(size: number): MetadataEntry[] {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${hex(byte)}>`);
  const begin = 3 + bytes.length;
  const alphabet = [SPACE, ...LETTERS, ...SYMBOLS];
  const grown = growPieces([SPACE, ...LETTERS], size - begin - alphabet.length);
  const pieces = [...alphabet, ...grown.map(([left, right]) => left + right)];
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...pieces];
  check(tokens.length === size, `a vocabulary of ${size} pieces`);
  const scores = Float32Array.from(tokens, (_, id) => id < begin ? 0 : begin - id);
  const types = new Int32Array(size).fill(NORMAL);
  types.set([UNKNOWN, CONTROL, CONTROL]);
  types.fill(BYTE, 3, begin);
  return [
    ["tokenizer.ggml.model", text("llama")],
    ["tokenizer.ggml.pre", text("default")],
    ["tokenizer.ggml.tokens", list(tokens)],
    ["tokenizer.ggml.scores", list(scores)],
    ["tokenizer.ggml.token_type", list(types)],
    ["tokenizer.ggml.bos_token_id", u32(1)],
    ["tokenizer.ggml.eos_token_id", u32(2)],
    ["tokenizer.ggml.unknown_token_id", u32(0)],
    ["tokenizer.ggml.add_bos_token", bool(true)],
    ["tokenizer.ggml.add_eos_token", bool(false)],
    ["tokenizer.chat_template", text(CHAT_TEMPLATE)],
  ];
}

/**
 * Tokenizer metadata of kind "gpt2" (byte-level BPE) with Qwen2's way of cutting words: 256 bytes,
 * merged pieces, three specials, and unused tokens that pad to a multiple of 128 as Qwen2's do.
 */
export function bytePairVocabulary(size: number): MetadataEntry[] {
  const specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
  const bytes = byteLevelAlphabet();
  const padCount = size > PAD_FROM_SIZE ? PAD_COUNT : 0;
  const merges = growPieces(["Ġ", ...LETTERS], size - bytes.length - specials.length - padCount);
  const pieces = merges.map(([left, right]) => left + right);
  const end = bytes.length + pieces.length;
  const padding = Array.from({ length: padCount }, (_, i) => `[PAD${end + specials.length + i}]`);
  const types = new Int32Array(size).fill(NORMAL);
  types.fill(CONTROL, end, end + specials.length);
  types.fill(UNUSED, end + specials.length);
  return [
    ["tokenizer.ggml.model", text("gpt2")],
    ["tokenizer.ggml.pre", text("qwen2")],
    ["tokenizer.ggml.tokens", list([...bytes, ...pieces, ...specials, ...padding])],
    ["tokenizer.ggml.token_type", list(types)],
    ["tokenizer.ggml.merges", list(merges.map(([left, right]) => `${left} ${right}`))],
    ["tokenizer.ggml.bos_token_id", u32(end)],
    ["tokenizer.ggml.eos_token_id", u32(end + 2)],
    ["tokenizer.ggml.padding_token_id", u32(end)],
    ["tokenizer.ggml.add_bos_token", bool(false)],
    ["tokenizer.chat_template", text(IM_TEMPLATE)],
  ];
}

const PAD_FROM_SIZE = 100_000;
const PAD_COUNT = 290;

const IM_TEMPLATE = "{% for message in messages %}" +
  "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/**
 * `count` different pieces of two and more letters, each the sum of two earlier ones: all words of
 * two letters, then all of three, and so on. Only the first letter may be a space.
 */
function growPieces(alphabet: readonly string[], count: number): [string, string][] {
  const merges: [string, string][] = [];
  let stems: readonly string[] = alphabet;
  while (merges.length < count) {
    const longer: string[] = [];
    for (const stem of stems) {
      for (const letter of LETTERS) {
        if (merges.length === count) return merges;
        merges.push([stem, letter]);
        longer.push(stem + letter);
      }
    }
    stems = longer;
  }
  return merges;
}

/** GPT-2's printable stand-ins for the 256 bytes, in the order of its vocabulary. */
function byteLevelAlphabet(): string[] {
  const printable = (byte: number) =>
    byte >= 0x21 && byte <= 0x7e || byte >= 0xa1 && byte <= 0xac || byte >= 0xae;
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  const others = all.filter((byte) => !printable(byte));
  return [
    ...all.filter(printable).map((byte) => String.fromCharCode(byte)),
    ...others.map((_, index) => String.fromCharCode(256 + index)),
  ];
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}
