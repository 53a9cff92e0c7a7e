/** CodeShell: StarCoder 2 by another name. */
import type { Family } from "../family.ts";
import { starcoder2 } from "./starcoder2.ts";

/** The family `general.architecture = "codeshell"`. */
export const codeshell: Family = {
  ...starcoder2,
  architecture: "codeshell",
};
