import { loadModel } from "../../src/llm/mod.ts";
const [path, streamsText, roundsText = "2", genText = "64"] = Deno.args;
const list = streamsText.split(",").map(Number);
const model = await loadModel(path, {
  threads: 2,
  parallel: Math.max(...list),
  contextLength: 512,
});
const gen = Number(genText);
const run = async (n: number, gen: number) => {
  const results = await Promise.all(
    Array.from({ length: n }, (_, i) =>
      model.generate({
        ids: [5 + i, 6, 7, 8],
        maxTokens: gen + 1,
        sampling: { temperature: 0 },
        ignoreEnd: true,
      }).result),
  );
  const ms = Math.max(...results.map(({ timings }) => timings.predictedMs));
  return n * gen / ms * 1000;
};
await run(list[0], 8);
for (let r = 0; r < Number(roundsText); r++) {
  for (const n of list) console.log(`${n} streams: ${(await run(n, gen)).toFixed(1)} tok/s`);
}
await model.close();
