import { assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { openedAs, openGguf, parseGguf } from "../../src/gguf/mod.ts";

Deno.test("openedAs() calls a file what it is, where it cannot be opened or read", () => {
  assertThrows(
    () => openedAs("adapter", () => openGguf("/nowhere.gguf")),
    ModelFormatError,
    'Cannot open the adapter: there is no such file: check the path ("/nowhere.gguf")',
  );
  assertThrows(
    () => openedAs("projector", () => parseGguf(new Uint8Array(0))),
    ModelFormatError,
    "Cannot read the projector: the file is empty",
  );
  assertThrows(
    () =>
      openedAs("adapter", () => {
        throw new TypeError("Cannot open the model: not ours");
      }),
    TypeError,
    "Cannot open the model: not ours",
  );
});
