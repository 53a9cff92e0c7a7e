/** RND1: Qwen 3 with experts that fills in masks, and reads both ways. */
import type { Family } from "../family.ts";
import { qwen3moe } from "./qwen3moe.ts";

/** The family `general.architecture = "rnd1"`. */
export const rnd1: Family = { ...qwen3moe, architecture: "rnd1", fills: true };
