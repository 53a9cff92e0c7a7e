/** What `show` says of a projector: its own file, or the one beside a model. */
import { basename } from "node:path";
import { getString, type GgufFile, openGguf } from "../gguf/mod.ts";
import { hears, sees } from "../model/mod.ts";

/** What is done with what a file makes rows of. */
const VERBS = { images: "seen", sounds: "heard", "images and sounds": "seen and heard" } as const;

/** What a file makes rows of; null: it is no projector. */
export function projectorUse(file: GgufFile): keyof typeof VERBS | null {
  if (getString(file.metadata, "general.architecture") !== "clip") return null;
  if (!sees(file)) return "sounds";
  return hears(file) ? "images and sounds" : "images";
}

/** A line of the one beside a model. A file that cannot be read is said to be such: no failure. */
export function projectorRow(path: string): [key: string, value: string] {
  const name = basename(path);
  let use: ReturnType<typeof projectorUse>;
  try {
    use = projectorUse(openGguf(path));
  } catch {
    return ["projector", `${name}, which cannot be read`];
  }
  if (use === null) return ["projector", `${name}, which is none`];
  return [use, `${VERBS[use]} by its projector, ${name}`];
}
