/**
 * A story, as it is made; Ctrl-C ends it early.
 *
 *   deno run --allow-read --allow-sys=systemMemoryInfo examples/tell_story.ts [MODEL.gguf]
 */
import { Engine } from "ganglion";

await using engine = await Engine.load(Deno.args[0]);

const stop = new AbortController();
Deno.addSignalListener("SIGINT", () => stop.abort());

const story = engine.chat("Tell me a story about a dragon.", {
  maxTokens: 200,
  temperature: 0.7,
  signal: stop.signal,
});
const encoder = new TextEncoder();
for await (const text of story) await Deno.stdout.write(encoder.encode(text));

const { timings, finishReason } = await story.result;
const seconds = timings.predictedMs / 1000;
console.log(`\n\n${timings.predictedTokens} tokens in ${seconds.toFixed(2)} s: ${finishReason}`);
// A listener for signals keeps the process alive.
Deno.exit();
