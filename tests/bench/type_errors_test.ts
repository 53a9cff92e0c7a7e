import { assertLess } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import { relativeError } from "./type_errors.ts";

for (const name of ["stories260K-f32.gguf", "babyllama105-f32.gguf"]) {
  sharedTest(`models/${name}`, `relativeError() of E0M4 is the least of 4 bits in ${name}`, () => {
    const file = openGguf(sharedPath(`models/${name}`));
    const error = relativeError(file, "E0M4");
    for (const type of ["Q4_0", "Q4_1", "Q4_K"] as const) {
      assertLess(error, relativeError(file, type), type);
    }
  });
}
