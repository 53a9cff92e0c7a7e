/** `--batch-folder`, `--queue` and their kin. */
import { assertEquals, assertRejects } from "@std/assert";
import { createCommand } from "commander";
import { join } from "node:path";
import { UsageError } from "../../../src/base/errors.ts";
import { openBatches } from "../../../src/cli/serve/open_batches.ts";
import { addServerOptions, type ServerFlags } from "../../../src/cli/serve/serve_options.ts";

function parse(...args: string[]): ServerFlags {
  const verb = addServerOptions(createCommand("serve")).exitOverride();
  verb.parse(args, { from: "user" });
  return verb.opts<ServerFlags>();
}

function open(...args: string[]) {
  return openBatches(parse(...args), () => {});
}

Deno.test("openBatches() keeps none where no folder is named", async () => {
  assertEquals(await open(), null);
});

Deno.test("openBatches() makes the folder, with the flags' limits or those of OpenAI", async () => {
  const home = await Deno.makeTempDir();
  try {
    const folder = join(home, "new", "batches");
    const batches = (await open("--batch-folder", folder))!;
    const { concurrency, fileBytesMax, leaseMs, batchesPerKey } = batches;
    assertEquals([concurrency, fileBytesMax, leaseMs], [2, 200_000_000, 10_000]);
    assertEquals(batchesPerKey, 100);
    await batches.store.close();
    const limits = ["--batch-file-max", "1MiB", "--batches-per-key", "3"];
    const flags = ["--batch-concurrency", "7", ...limits];
    const others = (await open("--batch-folder", folder, ...flags))!;
    const { concurrency: seven, fileBytesMax: mebibyte, batchesPerKey: three } = others;
    assertEquals([seven, mebibyte, three], [7, 2 ** 20, 3]);
    await others.store.close();
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("openBatches() says of a folder that cannot be, which flag named it", async () => {
  await assertRejects(
    () => open("--batch-folder", "/proc/self/status/batches"),
    UsageError,
    "Cannot use --batch-folder: ",
  );
});

Deno.test("openBatches() refuses two places, and a queue whose address is none", async () => {
  const both = ["--batch-folder", "x", "--queue", "nats://h"];
  await assertRejects(() => open(...both), UsageError, "Cannot use --batch-folder with --queue");
  await assertRejects(() => open("--queue", "redis://h"), UsageError, "Cannot use --queue: ");
});
