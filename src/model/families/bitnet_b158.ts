/** BitNet b1.58 as Microsoft's own converter calls it: neurons have squared ReLU. */
import type { Family } from "../family.ts";
import { bitnet } from "./bitnet.ts";

/** The family `general.architecture = "bitnet-b1.58"`. */
export const bitnetB158: Family = {
  ...bitnet,
  architecture: "bitnet-b1.58",
  feedForward: { activation: "relu2", isGated: true, activatesUp: false },
  activationOf: null,
};
