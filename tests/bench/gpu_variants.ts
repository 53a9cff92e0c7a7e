/**
 * What changed shaders are worth within a decoded token: a token's dispatches are caught
 * (gpu_token_clock.ts), those of a kernel get the changed text, and the whole token is timed with
 * them and without, in turns. Right results are not looked at: an idea may read weights in an order
 * that they do not have, to learn what the order is worth before it is built.
 *
 *   deno run -A tests/bench/gpu_variants.ts MODEL [WORD…] [--software]
 *   ideas of gpu_ideas.ts whose names have one of the words; a model as
 *   `ganglion synth --shape mistral-7b --quant Q4_0 -o MODEL` makes it
 */
import { KERNEL_LIST, type KernelName } from "../../gpu/kernels.ts";
import type { Gpu } from "../../gpu/mod.ts";
import { type Caught, openProfiled, type Profiled } from "./gpu_token_clock.ts";
import { type Idea, listIdeas, type Numbers } from "./gpu_ideas.ts";

const ROUNDS = 3;
/** Measurements between which the token is timed as it is. */
const BASE_EVERY = 8;

interface Variant {
  readonly name: string;
  readonly token: readonly Caught[];
  readonly us: number[];
}

/** A caught dispatch's shader and constants. */
function readLabel({ pipeline: { label } }: Caught): { kernel: KernelName; constants: Numbers } {
  const [kernel] = label.split(" ");
  const given = JSON.parse(label.slice(kernel.length + 1)) as Record<string, number | boolean>;
  const numbers = Object.entries(given).map(([name, value]) => [name, Number(value)]);
  return { kernel: kernel as KernelName, constants: Object.fromEntries(numbers) };
}

/** The token with other shaders where the idea has some. */
function withIdea(gpu: Gpu, token: readonly Caught[], { name, kernels, change }: Idea): Variant {
  const made = new Map<string, Pick<Caught, "pipeline"> & { readonly depth: number }>();
  const changedOf = (each: Caught) => {
    const known = made.get(each.pipeline.label);
    if (known !== undefined) return known;
    const { kernel, constants } = readLabel(each);
    const changed = change(KERNEL_LIST[kernel].text, constants, kernel);
    const pipeline = changed === null ? each.pipeline : gpu.device.createComputePipeline({
      label: name,
      layout: gpu.device.createPipelineLayout({ bindGroupLayouts: [gpu.pipelines.layout(kernel)] }),
      compute: {
        module: gpu.device.createShaderModule({ label: name, code: changed.text }),
        entryPoint: "main",
        constants: { ...constants, ...changed.constants },
      },
    });
    const now = { pipeline, depth: changed?.depth ?? 1 };
    made.set(each.pipeline.label, now);
    return now;
  };
  const own = token.map((each): Caught => {
    if (!each.name.startsWith(kernels)) return each;
    const { pipeline, depth } = changedOf(each);
    const [x, y, z] = each.counts;
    return { ...each, pipeline, counts: [x, y, Math.ceil(z * depth)] };
  });
  return { name, token: own, us: [] };
}

async function compare(
  { gpu, layers, token, ways, clock }: Profiled,
  words: readonly string[],
): Promise<void> {
  const base: Variant = { name: "as it is", token, us: [] };
  const isAsked = ({ name }: { name: string }) =>
    words.length === 0 || words.some((word) => name.includes(word));
  const variants = ways.filter(isAsked).map((way): Variant => ({ ...way, us: [] }));
  // An idea about a kernel that one way alone has is about that way.
  const tokens = [token, ...ways.map((way) => way.token)];
  for (const idea of listIdeas().filter(isAsked)) {
    const its = tokens.find((each) => each.some(({ name }) => name.startsWith(idea.kernels)));
    if (its === undefined) continue;
    gpu.device.pushErrorScope("validation");
    const variant = withIdea(gpu, its, idea);
    const error = await gpu.device.popErrorScope();
    if (error === null) variants.push(variant);
    else console.log(`${idea.name}: ${error.message}`);
  }
  for (let round = 0; round < (gpu.info.isFallback ? 1 : ROUNDS); round++) {
    for (const [i, each] of variants.entries()) {
      if (i % BASE_EVERY === 0) base.us.push(await clock.time(base.token));
      each.us.push(await clock.time(each.token));
    }
  }
  const usual = median(base.us);
  console.log("| idea | µs a layer more | token, µs |\n|---|---|---|");
  for (const { name, us } of [base, ...variants]) {
    const more = ((median(us) - usual) / layers).toFixed(2);
    console.log(`| ${name} | ${more} | ${us.map((each) => each.toFixed(0)).join(" ")} |`);
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

if (import.meta.main) {
  const [path, ...words] = Deno.args.filter((arg) => !arg.startsWith("--"));
  if (path === undefined) throw new Error("Which model? See the file's head");
  const allowsSoftware = Deno.args.includes("--software");
  const profiled = await openProfiled(path, { allowsSoftware, hasWays: true });
  if (profiled !== null) {
    await compare(profiled, words);
    profiled.gpu.close();
  }
}
