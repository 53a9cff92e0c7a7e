/** What a prompt says around a sound, by the projector's kind, as data. */
import { UnsupportedModelError } from "../base/errors.ts";
import type { SoundConfig } from "../model/vision_types.ts";

/** Special tokens are meant. */
export interface SoundTexts {
  readonly begin: string;
  readonly end: string;
}

const NOTHING: SoundTexts = { begin: "", end: "" };

const TEXTS: Readonly<Record<string, SoundTexts>> = {
  gemma4a: { begin: "<|audio>", end: "<audio|>" },
  gemma4ua: { begin: "<|audio>", end: "<audio|>" },
  glma: NOTHING,
  granite_speech: NOTHING,
  lfm2a: NOTHING,
  meralion: NOTHING,
  musicflamingo: { begin: "<sound>", end: "" },
  parakeet: NOTHING,
  "qwen2.5o": { begin: "<|audio_bos|>", end: "<|audio_eos|>" },
  qwen2a: { begin: "<|audio_bos|>", end: "<|audio_eos|>" },
  qwen3a: { begin: "<|audio_start|>", end: "<|audio_end|>" },
  ultravox: NOTHING,
  voxtral: { begin: "[BEGIN_AUDIO]", end: "" },
};

/** @throws {UnsupportedModelError} when this version does not prepare sounds for the kind. */
export function soundTexts({ projector }: Pick<SoundConfig, "projector">): SoundTexts {
  const texts = TEXTS[projector];
  if (texts !== undefined) return texts;
  throw new UnsupportedModelError(
    `Cannot prepare sounds for a projector of type ${JSON.stringify(projector)}: this version ` +
      `does for ${Object.keys(TEXTS).join(", ")}`,
  );
}
