import { assertThrows } from "@std/assert";
import { LogitsFile } from "../../src/cli/logits_file.ts";

// Devices need all rights, which no task of deno.json gives.
Deno.test("LogitsFile() says of a path that Deno keeps from it what to do", {
  ignore: Deno.build.os !== "linux",
  permissions: { read: true, write: true },
}, () => {
  const message = 'Cannot write "/dev/full": Deno does not let this program: give another path';
  assertThrows(() => new LogitsFile("/dev/full"), Error, message);
});
