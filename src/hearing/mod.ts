/**
 * The door of hearing for those who ask for sounds. Decoders are behind `prepare.ts`, which the
 * thread of images and sounds loads and nobody else.
 */
export { checkSoundSize, SOUND_BYTES_MAX } from "./limits.ts";
export { soundTexts } from "./kinds.ts";
export { soundKindOf } from "./sound_kind.ts";
