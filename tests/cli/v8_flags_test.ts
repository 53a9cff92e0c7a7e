import { assert, assertEquals } from "@std/assert";
import { readLaunch } from "../../packaging/launch.ts";
import { MEMORY_FLAGS, SPEED_FLAGS } from "../../src/cli/v8_flags.ts";
import project from "../../deno.json" with { type: "json" };

/** Young objects that outlive collections: V8 makes their space larger. Prints its MiB. */
const SURVIVORS = `
  import { getHeapSpaceStatistics } from "node:v8";
  const kept = new Array(200_000);
  for (let i = 0; i < 6_000_000; i++) kept[i % kept.length] = { i };
  const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
  console.log(young.space_size / 2 ** 20);
`;
/** Two semi-spaces. */
const YOUNG_MIB_MAX = 16;

Deno.test("SPEED_FLAGS and MEMORY_FLAGS are what every task of the program gives to V8", () => {
  const flags = [...SPEED_FLAGS, ...MEMORY_FLAGS].join(",");
  assertEquals(readLaunch().v8Flags, flags);
  for (const name of ["serve", "ganglion:ffi"] as const) {
    const { command } = project.tasks[name];
    assert(command.startsWith(`DENO_V8_FLAGS=${flags} deno run `), name);
  }
});

// fault 59: without it, this grows to 64 MiB a thread, over many requests.
Deno.test("MEMORY_FLAGS bound what a thread's young objects lie in", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", `--v8-flags=${readLaunch().v8Flags}`, SURVIVORS],
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const youngMiB = Number(new TextDecoder().decode(stdout));
  assert(youngMiB > 0 && youngMiB <= YOUNG_MIB_MAX, `${youngMiB} MiB`);
});
