/** Every family that this version runs. */
import type { Family } from "../family.ts";
import { arcee } from "./arcee.ts";
import { bamboo } from "./bamboo.ts";
import { chatglm } from "./chatglm.ts";
import { gemma } from "./gemma.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { gpt2 } from "./gpt2.ts";
import { granite } from "./granite.ts";
import { llama } from "./llama.ts";
import { minicpm } from "./minicpm.ts";
import { nemotron } from "./nemotron.ts";
import { olmo2 } from "./olmo2.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen2moe } from "./qwen2moe.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3moe } from "./qwen3moe.ts";
import { smallthinker } from "./smallthinker.ts";
import { smollm3 } from "./smollm3.ts";
import { stablelm } from "./stablelm.ts";
import { starcoder2 } from "./starcoder2.ts";

/** In alphabetical order. */
export const FAMILIES: readonly Family[] = [
  arcee,
  bamboo,
  chatglm,
  gemma,
  gemma2,
  gemma3,
  gpt2,
  granite,
  llama,
  minicpm,
  nemotron,
  olmo2,
  phi3,
  qwen2,
  qwen2moe,
  qwen3,
  qwen3moe,
  smallthinker,
  smollm3,
  stablelm,
  starcoder2,
];
