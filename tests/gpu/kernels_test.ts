/** Every shader against its formula, at the edges; on whatever adapter there is. */
import { assert, assertEquals } from "@std/assert";
import { KERNEL_LIST, type KernelName, needsOf } from "../../gpu/kernels.ts";
import { EXPERTS_MAX, type Gpu, USED_EXPERTS_MAX } from "../../gpu/mod.ts";
import { IS_DEEP } from "../support/deep.ts";
import { gpuTest } from "../support/gpu.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import { apartCases } from "./cases/apart.ts";
import { attentionCases } from "./cases/attention.ts";
import { attentionLastCases } from "./cases/attention_last.ts";
import { bothWaysCases } from "./cases/both_ways.ts";
import { convolutionCases } from "./cases/convolution.ts";
import { elementwiseCases } from "./cases/elementwise.ts";
import { chooseCases } from "./cases/choose.ts";
import { embedCases, matmulCases } from "./cases/matmul.ts";
import { expertCases } from "./cases/experts.ts";
import { gateCases } from "./cases/gate_states.ts";
import { halfNormCases } from "./cases/half_norm.ts";
import { latentCases } from "./cases/latent.ts";
import { mergeCases } from "./cases/merge.ts";
import { normCases } from "./cases/norms.ts";
import { oneTokenCases } from "./cases/one_token.ts";
import { routeCases } from "./cases/routes.ts";
import { wideCases } from "./cases/wide.ts";
import { streamCases } from "./cases/streams.ts";
import { stateCases } from "./cases/states.ts";

/**
 * Of these each shader's first shape is compiled as the product compiles it, of the others that of
 * each choice: embed() and enterToken() are compared to the bit, and a factor that is data is
 * rounded otherwise; products by nibbles, bytes and integers have one shape of most choices, and
 * take less with all constants.
 */
const ONCE = /^(?!embed|enter|mat(?:mul|vec)_(?!float))/;

// Several hundred shapes would be as many shaders.
sizesAsData({ afterFirst: true, ...IS_DEEP ? {} : { once: ONCE } });

const CASES = [
  ...matmulCases,
  ...embedCases,
  ...chooseCases,
  ...mergeCases,
  ...normCases,
  ...halfNormCases,
  ...oneTokenCases,
  ...apartCases,
  ...attentionCases,
  ...attentionLastCases,
  ...bothWaysCases,
  ...wideCases,
  ...latentCases,
  ...elementwiseCases,
  ...streamCases,
  ...convolutionCases,
  ...stateCases,
  ...gateCases,
  ...routeCases,
  ...expertCases,
];

for (const { name, kernels, run, deep } of CASES) {
  gpuTest(name, async (gpu) => {
    await run(gpu);
    const missed = kernels.filter((kernel) =>
      canRun(gpu, kernel) && !gpu.pipelines.hasCompiled(kernel)
    );
    assertEquals(missed, [], "shaders that a case is about and never ran");
    assertEquals(gpu.failure, null);
  }, { deep });
}

function canRun({ features }: Gpu, kernel: KernelName): boolean {
  return needsOf(kernel).every((feature) => features.has(feature));
}

Deno.test("shaders of the most experts do with the workgroup memory that every adapter has", () => {
  const most = { EXPERTS: EXPERTS_MAX, ROOM: EXPERTS_MAX / 4, GROUPS_ROOM: EXPERTS_MAX };
  const lengths: Record<string, number> = { ...most, USED: USED_EXPERTS_MAX };
  for (const name of ["choose_experts", "sort_routes"] as const) {
    const arrays = [...KERNEL_LIST[name].text.matchAll(
      /var<workgroup> \w+: array<(vec4<)?[uf]32>?, (\w+)>/g,
    )];
    const bytes = arrays.map(([, vec4, length]) =>
      (vec4 ? 16 : 4) * (lengths[length] ?? Number(length))
    );
    assertEquals(arrays.length, KERNEL_LIST[name].text.split("var<workgroup>").length - 1);
    assert(bytes.reduce((sum, each) => sum + each) <= 16_384, `${name}: ${bytes}`);
  }
  assert(1024 * USED_EXPERTS_MAX <= 65_535, "rows of a grid");
});

Deno.test("every .wgsl file is in the list of kernels and has a case", () => {
  const folder = new URL("../../gpu/kernels/", import.meta.url);
  const files = [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile)
    .map(({ name }) => name.replace(/\.wgsl$/, ""));
  const texts = Object.values(KERNEL_LIST).map(({ text }) => text);
  const unused = files.filter((name) => {
    const own = Deno.readTextFileSync(new URL(`${name}.wgsl`, folder));
    return !texts.some((text) => text.startsWith(own));
  });
  assertEquals(unused, []);
  const covered = new Set(CASES.flatMap(({ kernels }) => kernels));
  const names = Object.keys(KERNEL_LIST) as KernelName[];
  assertEquals(names.filter((name) => !covered.has(name)), []);
  // What shaders share is shared.
  const parts = [...Deno.readDirSync(new URL("parts/", folder))];
  assert(parts.length > 5, `${parts.length} parts`);
  for (const { name } of parts) {
    const part = Deno.readTextFileSync(new URL(`parts/${name}`, folder));
    const least = name.includes("subgroups") ? 1 : 2; // a shader's other way to sum up
    assert(texts.filter((text) => text.includes(part)).length >= least, name);
  }
});
