/** A process that packs a model slowly, to be killed: pack_child.ts INPUT OUT. */
import { packFile } from "../../src/pack/mod.ts";

const PIECE_MS = 1;
const [input, out] = Deno.args;
const never = new Int32Array(new SharedArrayBuffer(4));
console.log("begun");
await packFile({
  ...{ input, out, stats: null, alignBytes: 512 },
  onProgress: () => void Atomics.wait(never, 0, 0, PIECE_MS),
});
