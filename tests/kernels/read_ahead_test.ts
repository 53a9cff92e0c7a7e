/** Rows that end where the memory ends are read ahead of, and not beyond it: that would trap. */
import { assert } from "@std/assert";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./rows_at_the_end.ts", import.meta.url));
/** V8's default, said aloud: the tests' own flags leave bounds unchecked, and nothing traps. */
const CHECKED = "--liftoff";

Deno.test("rows are read ahead of, fetched and listed within their matrix", async () => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", PROGRAM],
    env: { DENO_V8_FLAGS: CHECKED, NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
});
