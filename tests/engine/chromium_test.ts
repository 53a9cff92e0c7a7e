/**
 * Models on a page in a headless Chromium: the rank that Deno runs on a GPU, alone, on another
 * WebGPU with another compiler. Logits are near golden or the CPU's ones, ids are the CPU's.
 */
import { assertEquals, assertLess } from "@std/assert";
import { fileURLToPath } from "node:url";
import { askChromium, bundleForPage, chromiumTest } from "../support/chromium.ts";
import { nmse } from "../support/compare.ts";
import { GPU_GOLDEN_MODELS } from "../support/gpu_golden_models.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import type { PageReport } from "../support/page_main.ts";
import type { PageJob } from "../support/page_model.ts";
import { randomIds } from "../support/rng.ts";
import { hasShared, sharedPath } from "../support/shared.ts";
import { readFloats, readJson } from "../support/shared_data.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

/** What the page is asked of a model, and what is right. */
interface Question {
  readonly job: PageJob;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Logits of the job's sequences, and how far from them others may be. */
  readonly logits: Readonly<
    Record<string, { readonly right: Float32Array; readonly nmse: number }>
  >;
  /** Greedy ids after the job's prompt. */
  readonly ids: readonly number[];
}

/** A test of one model. */
interface Case {
  readonly sentence: string;
  /** The file or folder of ../shared that it needs. */
  readonly shared?: string;
  ask(): Promise<Question>;
}

const IDS = randomIds(37, { end: 512, seed: 7 });
/** Tokens of a story, and how many of these the page says: one takes it 0.15 to 0.3 s. */
const LONG = 200;
const SAID = 24;
/** One model takes less than a minute on two cores that others use, too. */
const TIMEOUT_MS = 180_000;
/** A script that does not even begin says why. */
const PAGE = `<!doctype html><script>
addEventListener("error", ({ message }) => {
  fetch("/report", { method: "POST", body: JSON.stringify({ failure: message, answers: {} }) });
});
</script><script type="module" src="/page.js"></script>`;
/** Only the order of sums differs, and exp and sin are another WebGPU's. */
const F32_NMSE = 1e-10;
/** Activations are not rounded to int8 on a GPU. */
const QUANT_NMSE = 5e-3;

const CASES: readonly Case[] = [
  tinyCase("llama in F32", { architecture: "llama" }, F32_NMSE),
  tinyCase("gemma2 in F32", { architecture: "gemma2" }, F32_NMSE),
  tinyCase("qwen35 in F32", { architecture: "qwen35", blockCount: 2 }, F32_NMSE),
  tinyCase(
    "bamboo in Q4_K",
    { architecture: "bamboo", type: "Q4_K", embeddingLength: 256, feedForwardLength: 512 },
    QUANT_NMSE,
  ),
  storyCase(
    "the built-in model",
    fileURLToPath(new URL("../../builtin/model.gguf", import.meta.url)),
  ),
  storyCase(
    "babyllama105",
    sharedPath("models/babyllama105-f32.gguf"),
    "models/babyllama105-f32.gguf",
  ),
  ...GPU_GOLDEN_MODELS.map((name) => goldenCase(name)),
  // Q4_K and Q6_K: every shader that Q4_0 has, and heads of two types.
  ...["llama-q4_k_m", "llama-f16"].map((name) => goldenCase(name, true)),
];

/** One Chromium answers all; who asks first waits for it. */
let asked: ReturnType<typeof askAll> | null = null;

for (const each of CASES) {
  const { sentence, shared } = each;
  const missing = shared === undefined || hasShared(shared) ? null : `no shared/${shared}`;
  chromiumTest(sentence, async () => {
    asked ??= askAll();
    const { report, questions } = await asked;
    assertEquals(report.failure, undefined);
    const { job, logits, ids } = questions.get(each)!;
    const answer = report.answers[job.name];
    for (const [sequence, { right, nmse: most }] of Object.entries(logits)) {
      assertLess(nmse(Float32Array.from(answer.logits[sequence]), right), most, sequence);
    }
    assertEquals(answer.ids, ids);
  }, { missing });
}

async function askAll(): Promise<{ report: PageReport; questions: Map<Case, Question> }> {
  const questions = new Map<Case, Question>();
  for (const each of CASES) {
    if (each.shared === undefined || hasShared(each.shared)) questions.set(each, await each.ask());
  }
  const all = [...questions.values()];
  const report = await askChromium<PageReport>({
    "/index.html": PAGE,
    "/page.js": await bundleForPage(new URL("../support/page_main.ts", import.meta.url)),
    "/kernels.wasm": await Deno.readFile(new URL("../../wasm/kernels.wasm", import.meta.url)),
    "/jobs.json": JSON.stringify(all.map(({ job }) => job)),
    ...Object.fromEntries(all.map(({ job, bytes }) => [`/models/${job.name}`, bytes])),
  }, TIMEOUT_MS);
  return { report, questions };
}

/** A model made from a seed, beside the CPU. */
function tinyCase(name: string, of: TinyModelOptions, bound: number): Case {
  return {
    sentence: `a page in Chromium computes a tiny ${name} as a thread does`,
    async ask() {
      let question!: Question;
      await withTinyFile({ seed: 3, ...of }, async (path) => {
        await withModel(path, { threads: 1, gpu: "off" }, async (model) => {
          const prompt = IDS.slice(0, 9);
          const isExact = bound === F32_NMSE;
          const ids = isExact ? await greedyIds(model, prompt, 16) : [];
          question = {
            job: { name, sequences: { all: IDS }, prompt, count: ids.length, isTuned: false },
            bytes: await Deno.readFile(path),
            logits: { all: { right: await allLogits(model, IDS), nmse: bound } },
            ids,
          };
        });
      });
      return question;
    },
  };
}

/** What a trained model says at the end of a long story. */
function storyCase(name: string, path: string, shared?: string): Case {
  return {
    sentence: `${name} goes on behind ${LONG - SAID} tokens on a page in Chromium as on threads`,
    shared,
    async ask() {
      let question!: Question;
      await withModel(path, { gpu: "off" }, async (model) => {
        const start = model.encodePrompt("Once upon a time");
        const story = await greedyIds(model, start, LONG);
        const prompt = [...start, ...story.slice(0, -SAID)];
        question = {
          job: { name, sequences: {}, prompt, count: SAID, isTuned: false },
          bytes: await Deno.readFile(path),
          logits: {},
          ids: story.slice(-SAID),
        };
      });
      return question;
    },
  };
}

function goldenCase(model: string, isTuned = false): Case {
  const folder = `golden/${model}`;
  const name = isTuned ? `${model} tuned` : model;
  return {
    sentence: `logits of ${name} on a page in Chromium are within its tolerance`,
    shared: folder,
    async ask() {
      const sequences: Record<string, number[]> = readJson(`${folder}/tokens.json`);
      const { tolerance }: { tolerance: Record<string, { vs_exact_nmse: number }> } = readJson(
        `${folder}/meta.json`,
      );
      const logits = Object.fromEntries(
        Object.keys(sequences).map((sequence) => [sequence, {
          right: readFloats(`${folder}/exact_${sequence}.f32`),
          nmse: tolerance[sequence].vs_exact_nmse,
        }]),
      );
      return {
        job: { name, sequences, prompt: sequences.a, count: 0, isTuned },
        bytes: await Deno.readFile(sharedPath(`${folder}/model.gguf`)),
        logits,
        ids: [],
      };
    },
  };
}
