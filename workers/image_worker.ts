/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** Entry of the thread that prepares images and sounds, one after the other. */
import { prepareSound } from "../src/hearing/prepare.ts";
import type { ImageTables, PreparedImage } from "../src/vision/mod.ts";
import { prepareFile } from "../src/vision/prepare.ts";
import { isOfSounds } from "../src/model/is_of_sounds.ts";
import { answerCalls, leave } from "./answer.ts";

let known: ImageTables | null = null;

answerCalls("images", {
  prepareImage({ file, config, tables }, later) {
    known = tables ?? known;
    const prepared = isOfSounds(config)
      ? prepareSound(file, config, known!)
      : prepareFile(file, config, known!);
    prepared
      .then((image) => later.done(image, buffersOf(image)))
      .catch((error) => later.failed(error));
    return null;
  },
  close() {
    leave();
    return {};
  },
});

/** Of arrays: what is posted is moved. */
function buffersOf({ tiles }: PreparedImage): Transferable[] {
  return tiles.flatMap(({ patches, added, positions, second }) =>
    [patches, added, positions, second?.added ?? null].flatMap((array) =>
      array === null ? [] : [array.buffer as ArrayBuffer]
    )
  );
}
