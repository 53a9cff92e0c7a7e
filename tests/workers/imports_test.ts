/** What threads load as they start: every model, and every test that loads one, waits for it. */
import { assertEquals, assertGreater } from "@std/assert";
import { fileURLToPath } from "node:url";

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier?: string };
    readonly isDynamic?: boolean;
  }[];
}

for (const name of ["engine_worker", "compute_worker", "io_worker"]) {
  Deno.test(`${name}.ts starts without any of Node's modules, 30 ms of CPU each`, async () => {
    const modules = await modulesOf(`../../workers/${name}.ts`);
    assertGreater(modules.size, 5);
    assertEquals([...modules].filter((each) => each.startsWith("node:")), []);
  });
}

Deno.test("the library starts without decoders of images, 300 KB that a thread of its own loads", async () => {
  const decoders = async (path: string) =>
    [...await modulesOf(path)].filter((each) => each.includes("/@jsquash/"));
  assertEquals(await decoders("../../mod.ts"), []);
  assertGreater((await decoders("../../workers/image_worker.ts")).length, 1);
});

/** All that is loaded before the first line of a module runs. */
async function modulesOf(path: string): Promise<ReadonlySet<string>> {
  const entry = new URL(path, import.meta.url);
  const args = ["info", "--json", fileURLToPath(entry)];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
  const all: readonly Module[] = JSON.parse(new TextDecoder().decode(stdout)).modules;
  const byName = new Map(all.map((module) => [module.specifier, module]));
  const reached = new Set([entry.href]);
  for (const name of reached) {
    for (const { code, isDynamic } of byName.get(name)?.dependencies ?? []) {
      if (code?.specifier !== undefined && !isDynamic) reached.add(code.specifier);
    }
  }
  return reached;
}
