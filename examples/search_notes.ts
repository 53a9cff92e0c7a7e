/**
 * Which of some notes is closest to a question, by the angle between the vectors of their texts.
 *
 *   deno run --allow-read --allow-sys=systemMemoryInfo examples/search_notes.ts [MODEL.gguf]
 */
import { Engine } from "ganglion";

const NOTES = [
  "The server listens on port 11711 and speaks OpenAI's API.",
  "Once upon a time a fox lived at the edge of the forest.",
  "A neuron that does not fire need not be computed.",
];
const QUESTION = "Which port does the server listen on?";

await using engine = await Engine.load(Deno.args[0]);

const question = await engine.embed(QUESTION);
const found: { note: string; likeness: number }[] = [];
for (const note of NOTES) found.push({ note, likeness: dot(question, await engine.embed(note)) });
found.sort((a, b) => b.likeness - a.likeness);

console.log(QUESTION);
for (const { note, likeness } of found) console.log(`${likeness.toFixed(3)}  ${note}`);

/** Vectors of length 1: the cosine of the angle between them. */
function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}
