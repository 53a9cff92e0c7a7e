/** The library's door: what it shows is documented, and all of it is shown. */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import * as library from "../mod.ts";

const DOOR = fileURLToPath(new URL("../mod.ts", import.meta.url));

Deno.test("everything that mod.ts shows is documented, with no type that it hides", async () => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", DOOR],
    env: { NO_COLOR: "1" },
    stdout: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr).slice(-2000));
});

Deno.test("mod.ts has an engine, a server, and the errors that they throw", () => {
  assertEquals(Object.keys(library).sort(), [
    "Engine",
    "ModelFormatError",
    "RequestError",
    "UnsupportedModelError",
    "WorkerError",
    "serve",
  ]);
});
