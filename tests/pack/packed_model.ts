/** Tiny models, packed into a folder of their own. */
import { openPacked, type PackedModel } from "../../src/bundle/mod.ts";
import { packFile, type PackOptions } from "../../src/pack/mod.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

export interface Packed {
  readonly folder: string;
  readonly input: string;
  readonly out: string;
  readonly model: PackedModel;
}

/** Calls `test` with a tiny model and its packed form. */
export async function withPacked(
  tiny: TinyModelOptions,
  test: (packed: Packed) => void | Promise<void>,
  options: Partial<PackOptions> = {},
): Promise<void> {
  await withTiny(tiny, async (paths) => {
    await packFile({ ...paths, stats: null, alignBytes: 512, ...options });
    await test({ ...paths, model: openPacked(paths.out) });
  });
}

/** Calls `test` with a tiny model and where its packed form may lie. */
export async function withTiny(
  tiny: TinyModelOptions,
  test: (paths: { folder: string; input: string; out: string }) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const input = `${folder}/tiny.gguf`;
    await Deno.writeFile(input, tinyModel(tiny));
    await test({ folder, input, out: `${folder}/tiny.ganglion` });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
