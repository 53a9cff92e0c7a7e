/** Which of the two a projector's file is for. */
import type { ImageConfig, SoundConfig } from "./vision_types.ts";

export function isOfSounds(config: ImageConfig | SoundConfig): config is SoundConfig {
  return "melCount" in config;
}
