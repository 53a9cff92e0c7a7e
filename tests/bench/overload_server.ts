/**
 * The server that is overloaded: a paced model behind HTTP, in a process of its own. Prints its URL
 * and ends when its stdin does. Its arguments are the model's options, as JSON.
 */
import { loadedModels, serve, ServerMetrics } from "../../src/server/mod.ts";
import { PacedModel } from "../support/paced_model.ts";

const model = new PacedModel(JSON.parse(Deno.args[0]));
const server = serve({
  models: loadedModels([model]),
  metrics: new ServerMetrics(),
  port: 0,
  drainMs: 0,
  streamLagMs: 1_000,
  streamBufferChars: 65_536,
});
// As the verb does: Deno 2.9.6 panics when it first needs signals and no descriptor is left.
Deno.addSignalListener("SIGTERM", () => server.shutdown());
console.log(server.url);
for await (const _chunk of Deno.stdin.readable);
await server.shutdown();
Deno.exit();
