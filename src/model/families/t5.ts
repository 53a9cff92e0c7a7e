/** T5 as a whole: its encoder reads a source, its decoder writes an answer to it. */
import type { Family } from "../family.ts";
import { t5encoder } from "./t5encoder.ts";

/** What layers are called by, in files. */
const PARTS: Readonly<Record<string, string>> = {
  ...{ blk: "enc.blk", write: "dec.blk", ask: "dec.blk" },
};

/** The family `general.architecture = "t5"`: T5, Flan-T5, MADLAD-400. */
export const t5: Family = {
  ...t5encoder,
  architecture: "t5",
  isEncoder: false,
  sourceNorm: "enc.output_norm",
  nameInFile: (name) =>
    name.replace(/^(blk|write|ask)\.(\d+)\.(attn_)?(output\.)?/, (...found) => {
      const [, part, block, heads = "", isOutput] = found;
      const kind = part === "ask" && heads !== "" ? "cross_attn_" : heads;
      return `${PARTS[part]}.${block}.${kind}${isOutput === undefined ? "" : "o."}`;
    }),
  outputNorm: "dec.output_norm",
};
