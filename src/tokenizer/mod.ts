/** The door to tokenizers: text to ids and back, by what a model file says of its vocabulary. */
export { createTokenizer, createTokenizerSteps, type LoadedTokenizer } from "./create_tokenizer.ts";
export { encodePair, frameIds, type TextPair } from "./frame_text.ts";
export { PRE_TOKENIZER_NAMES } from "./pre_tokenizers.ts";
export { splitWords } from "./split_words.ts";
export { SPECIAL_TOKEN_BREAKER, type StreamDecoder, type Tokenizer } from "./types.ts";
