/**
 * Guessing ahead beside not guessing, in turns: texts that repeat themselves always, mostly and
 * never; and steps by how many rows they have. Run where nothing else does:
 *
 *     deno run -A tests/bench/speculation.ts MODEL [--threads=2] [--tokens=96] [--rounds=2]
 *       [--rows] [--draft=MODEL] [--texts=greedy]
 */
import { parseArgs } from "node:util";
import { type GenerateRequest, type LoadedModel, loadModel } from "../../src/llm/mod.ts";
import { benchPrompt } from "../../src/cli/bench_prompt.ts";

const { values: flags, positionals: [path] } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "2" },
    tokens: { type: "string", default: "96" },
    rounds: { type: "string", default: "2" },
    rows: { type: "boolean", default: false },
    draft: { type: "string" },
    texts: { type: "string", default: "" },
  },
});
const maxTokens = Number(flags.tokens);

type Speculate = "auto" | "off" | number;

const load = (speculate: Speculate) =>
  loadModel(path, {
    ...{ threads: Number(flags.threads), contextLength: 1024, speculate },
    draftModelPath: speculate === "off" ? undefined : flags.draft,
  });

/** Sampling by which a text of random weights repeats itself so often. */
const SAMPLING: Readonly<Record<string, GenerateRequest["sampling"]>> = {
  "always (one id)": { temperature: 0, logitBias: new Map([[100, 1000]]) },
  "mostly (two ids, 9 to 1)": biased([[100, 9], [200, 1]]),
  "half (two ids, 7 to 3)": biased([[100, 7], [200, 3]]),
  "greedy, as it comes": { temperature: 0 },
  "never (temperature 2)": { temperature: 2, topK: 0, topP: 1, minP: 0, seed: 1 },
};

/** So many parts of each: a bias is far above all logits, which it makes equal. */
function biased(parts: readonly (readonly [number, number])[]): GenerateRequest["sampling"] {
  const logitBias = new Map(parts.map(([id, part]) => [id, 1000 + Math.log(part)]));
  return { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1, logitBias };
}

async function measure(model: LoadedModel, sampling: GenerateRequest["sampling"], seed: number) {
  const { vocabSize } = model.config;
  const ids = benchPrompt({ vocabSize, count: 128, seed });
  const { result } = model.generate({ ids, maxTokens: maxTokens + 1, sampling, ignoreEnd: true });
  const { ids: answer, timings } = await result;
  const { predictedTokens, predictedMs, draftedTokens = 0, acceptedTokens = 0 } = timings;
  const perSecond = (predictedTokens - 1) / predictedMs * 1000;
  return { answer: answer.join(), perSecond, draftedTokens, acceptedTokens };
}

const model = { off: await load("off"), auto: await load("auto") };
for (const each of Object.values(model)) await measure(each, { temperature: 0 }, 99);
for (const [name, sampling] of Object.entries(SAMPLING)) {
  if (!name.startsWith(flags.texts)) continue;
  const lines: string[] = [];
  for (let round = 0; round < Number(flags.rounds); round++) {
    const off = await measure(model.off, sampling, round);
    const auto = await measure(model.auto, sampling, round);
    if (off.answer !== auto.answer) throw new Error(`${name}: ids differ`);
    lines.push(
      `${off.perSecond.toFixed(1)} → ${auto.perSecond.toFixed(1)} tok/s, ` +
        `${(auto.perSecond / off.perSecond).toFixed(2)} times, ` +
        `${auto.acceptedTokens} of ${auto.draftedTokens} right`,
    );
  }
  console.log(`${name}: ${lines.join("; ")}`);
}
await Promise.all(Object.values(model).map((each) => each.close()));

if (flags.rows) {
  for (const guesses of [0, 1, 2, 3, 5, 7, 11, 15]) {
    const forced = await load(guesses);
    const times: string[] = [];
    await measure(forced, SAMPLING["always (one id)"], 99);
    for (let round = 0; round < Number(flags.rounds); round++) {
      const { perSecond } = await measure(forced, SAMPLING["always (one id)"], round);
      times.push((1000 * (guesses + 1) / perSecond).toFixed(1));
    }
    console.log(`${guesses + 1} rows: ${times.join(", ")} ms a step`);
    await forced.close();
  }
}
