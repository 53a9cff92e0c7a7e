/** Every family that this version runs. */
import type { Family } from "../family.ts";
import { afmoe } from "./afmoe.ts";
import { apertus } from "./apertus.ts";
import { arcee } from "./arcee.ts";
import { arctic } from "./arctic.ts";
import { arwkv7 } from "./arwkv7.ts";
import { baichuan } from "./baichuan.ts";
import { bailingmoe } from "./bailingmoe.ts";
import { bailingmoe2 } from "./bailingmoe2.ts";
import { bailingmoe3 } from "./bailingmoe3.ts";
import { bamboo } from "./bamboo.ts";
import { barbet } from "./barbet.ts";
import { bert } from "./bert.ts";
import { bitnet } from "./bitnet.ts";
import { bitnetB158 } from "./bitnet_b158.ts";
import { bloom } from "./bloom.ts";
import { chameleon } from "./chameleon.ts";
import { chatglm } from "./chatglm.ts";
import { codeshell } from "./codeshell.ts";
import { cogvlm } from "./cogvlm.ts";
import { cohere2 } from "./cohere2.ts";
import { cohere2moe } from "./cohere2moe.ts";
import { commandR } from "./command_r.ts";
import { dbrx } from "./dbrx.ts";
import { deci } from "./deci.ts";
import { deepseek } from "./deepseek.ts";
import { deepseek2 } from "./deepseek2.ts";
import { deepseek2Ocr } from "./deepseek2_ocr.ts";
import { deepseek32 } from "./deepseek32.ts";
import { deepseek4 } from "./deepseek4.ts";
import { dots1 } from "./dots1.ts";
import { dots3note } from "./dots3note.ts";
import { dream } from "./dream.ts";
import { ernie45 } from "./ernie4_5.ts";
import { ernie45Moe } from "./ernie4_5_moe.ts";
import { euroBert } from "./eurobert.ts";
import { exaone } from "./exaone.ts";
import { exaone4 } from "./exaone4.ts";
import { exaoneMoe } from "./exaone_moe.ts";
import { falcon } from "./falcon.ts";
import { falconH1 } from "./falcon_h1.ts";
import { gemma } from "./gemma.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { gemma3n } from "./gemma3n.ts";
import { gemma4 } from "./gemma4.ts";
import { gemmaEmbedding } from "./gemma_embedding.ts";
import { glm4 } from "./glm4.ts";
import { glm4moe } from "./glm4moe.ts";
import { glmDsa } from "./glm_dsa.ts";
import { gpt2 } from "./gpt2.ts";
import { gptOss } from "./gpt_oss.ts";
import { gptneox } from "./gptneox.ts";
import { granite } from "./granite.ts";
import { graniteSwa } from "./granite_swa.ts";
import { graniteHybrid } from "./granitehybrid.ts";
import { granitemoe } from "./granitemoe.ts";
import { grok } from "./grok.ts";
import { grovemoe } from "./grovemoe.ts";
import { hrmText } from "./hrm_text.ts";
import { hunyuanDense } from "./hunyuan_dense.ts";
import { hunyuanMoe } from "./hunyuan_moe.ts";
import { hunyuanVl } from "./hunyuan_vl.ts";
import { hyV3 } from "./hy_v3.ts";
import { hyV4 } from "./hy_v4.ts";
import { internlm2 } from "./internlm2.ts";
import { jais } from "./jais.ts";
import { jais2 } from "./jais2.ts";
import { jamba } from "./jamba.ts";
import { jinaBertV2 } from "./jina_bert_v2.ts";
import { jinaBertV3 } from "./jina_bert_v3.ts";
import { kimiK3 } from "./kimi_k3.ts";
import { kimiLinear } from "./kimi_linear.ts";
import { laguna } from "./laguna.ts";
import { lfm2 } from "./lfm2.ts";
import { lfm2moe } from "./lfm2moe.ts";
import { llada } from "./llada.ts";
import { lladaMoe } from "./llada_moe.ts";
import { llama } from "./llama.ts";
import { llama4 } from "./llama4.ts";
import { llamaEmbed } from "./llama_embed.ts";
import { maincoder } from "./maincoder.ts";
import { mamba } from "./mamba.ts";
import { mamba2 } from "./mamba2.ts";
import { maple } from "./maple.ts";
import { mellum } from "./mellum.ts";
import { mimo2 } from "./mimo2.ts";
import { minicpm } from "./minicpm.ts";
import { minicpm3 } from "./minicpm3.ts";
import { minimax01 } from "./minimax_01.ts";
import { minimaxM2 } from "./minimax_m2.ts";
import { minimaxM3 } from "./minimax_m3.ts";
import { mistral3 } from "./mistral3.ts";
import { mistral4 } from "./mistral4.ts";
import { modernBert } from "./modern_bert.ts";
import { mpt } from "./mpt.ts";
import { museGlimmer } from "./muse_glimmer.ts";
import { nanbeige } from "./nanbeige.ts";
import { nemotron } from "./nemotron.ts";
import { nemotronH } from "./nemotron_h.ts";
import { nemotronHMoe } from "./nemotron_h_moe.ts";
import { neoBert } from "./neo_bert.ts";
import { nomicBert } from "./nomic_bert.ts";
import { nomicBertMoe } from "./nomic_bert_moe.ts";
import { olmo } from "./olmo.ts";
import { olmo2 } from "./olmo2.ts";
import { olmoe } from "./olmoe.ts";
import { openelm } from "./openelm.ts";
import { orion } from "./orion.ts";
import { paddleocr } from "./paddleocr.ts";
import { panguEmbedded } from "./pangu_embedded.ts";
import { phi2 } from "./phi2.ts";
import { phi3 } from "./phi3.ts";
import { phimoe } from "./phimoe.ts";
import { plamo } from "./plamo.ts";
import { plamo2 } from "./plamo2.ts";
import { plamo3 } from "./plamo3.ts";
import { plm } from "./plm.ts";
import { qwen } from "./qwen.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen2moe } from "./qwen2moe.ts";
import { qwen2vl } from "./qwen2vl.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen35 } from "./qwen35.ts";
import { qwen35moe } from "./qwen35moe.ts";
import { qwen3moe } from "./qwen3moe.ts";
import { qwen3next } from "./qwen3next.ts";
import { qwen3vl } from "./qwen3vl.ts";
import { qwen3vlmoe } from "./qwen3vlmoe.ts";
import { qwen4exp } from "./qwen4exp.ts";
import { refact } from "./refact.ts";
import { rnd1 } from "./rnd1.ts";
import { rwkv6 } from "./rwkv6.ts";
import { rwkv6qwen2 } from "./rwkv6qwen2.ts";
import { rwkv7 } from "./rwkv7.ts";
import { seedOss } from "./seed_oss.ts";
import { smallthinker } from "./smallthinker.ts";
import { smollm3 } from "./smollm3.ts";
import { spark25 } from "./spark2_5.ts";
import { stablelm } from "./stablelm.ts";
import { starcoder } from "./starcoder.ts";
import { starcoder2 } from "./starcoder2.ts";
import { step35 } from "./step35.ts";
import { t5 } from "./t5.ts";
import { t5encoder } from "./t5encoder.ts";
import { talkie } from "./talkie.ts";
import { xverse } from "./xverse.ts";

/** In alphabetical order. */
export const FAMILIES: readonly Family[] = [
  afmoe,
  apertus,
  arcee,
  arctic,
  arwkv7,
  baichuan,
  bailingmoe,
  bailingmoe2,
  bailingmoe3,
  bamboo,
  barbet,
  bert,
  bitnet,
  bitnetB158,
  bloom,
  chameleon,
  chatglm,
  codeshell,
  cogvlm,
  cohere2,
  cohere2moe,
  commandR,
  dbrx,
  deci,
  deepseek,
  deepseek2,
  deepseek2Ocr,
  deepseek32,
  deepseek4,
  dots1,
  dots3note,
  dream,
  ernie45,
  ernie45Moe,
  euroBert,
  exaone,
  exaone4,
  exaoneMoe,
  falcon,
  falconH1,
  gemma,
  gemma2,
  gemma3,
  gemma3n,
  gemma4,
  gemmaEmbedding,
  glm4,
  glm4moe,
  glmDsa,
  gpt2,
  gptOss,
  gptneox,
  granite,
  graniteSwa,
  graniteHybrid,
  granitemoe,
  grok,
  grovemoe,
  hrmText,
  hunyuanDense,
  hunyuanMoe,
  hunyuanVl,
  hyV3,
  hyV4,
  internlm2,
  jais,
  jais2,
  jamba,
  jinaBertV2,
  jinaBertV3,
  kimiK3,
  kimiLinear,
  laguna,
  lfm2,
  lfm2moe,
  llada,
  lladaMoe,
  llama,
  llama4,
  llamaEmbed,
  maincoder,
  mamba,
  mamba2,
  maple,
  mellum,
  mimo2,
  minicpm,
  minicpm3,
  minimax01,
  minimaxM2,
  minimaxM3,
  mistral3,
  mistral4,
  modernBert,
  mpt,
  museGlimmer,
  nanbeige,
  nemotron,
  nemotronH,
  nemotronHMoe,
  neoBert,
  nomicBert,
  nomicBertMoe,
  olmo,
  olmo2,
  olmoe,
  openelm,
  orion,
  paddleocr,
  panguEmbedded,
  phi2,
  phi3,
  phimoe,
  plamo,
  plamo2,
  plamo3,
  plm,
  qwen,
  qwen2,
  qwen2moe,
  qwen2vl,
  qwen3,
  qwen35,
  qwen35moe,
  qwen3moe,
  qwen3next,
  qwen3vl,
  qwen3vlmoe,
  qwen4exp,
  refact,
  rnd1,
  rwkv6,
  rwkv6qwen2,
  rwkv7,
  seedOss,
  smallthinker,
  smollm3,
  spark25,
  stablelm,
  starcoder,
  starcoder2,
  step35,
  t5,
  t5encoder,
  talkie,
  xverse,
];
