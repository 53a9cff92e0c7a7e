/** Projector files that see and hear: what a file of images and one of sounds have, in one. */
import {
  bool,
  encodeGguf,
  type MetadataEntry,
  parseGguf,
  storedMetadata,
  TensorReader,
  text,
} from "../../src/gguf/mod.ts";
import { tinyHearing, type TinyHearingOptions } from "./tiny_hearing.ts";
import { tinyVision, type TinyVisionOptions } from "./tiny_vision.ts";

/** What `clip.projector_type` says: one name of both, or each its own. */
export type BothNames = string | { readonly vision: string; readonly audio: string };

export function tinyBoth(
  names: BothNames,
  { vision, audio }: { readonly vision: TinyVisionOptions; readonly audio: TinyHearingOptions },
): Uint8Array<ArrayBuffer> {
  const files = [tinyVision(vision), tinyHearing(audio)].map((bytes) => ({
    file: parseGguf(bytes),
    reader: TensorReader.ofBytes(bytes),
  }));
  const tensors = files.flatMap(({ file, reader }) =>
    [...file.tensors.values()].map((tensor) => {
      const bytes = reader.readAll(tensor);
      return { name: tensor.name, dims: tensor.dims, type: tensor.type, pieces: () => [bytes] };
    })
  );
  const metadata = new Map<string, MetadataEntry[1]>([
    ...files.flatMap(({ file }) => storedMetadata(file)),
    ["clip.has_vision_encoder", bool(true)],
    ["clip.has_audio_encoder", bool(true)],
  ]);
  metadata.delete("clip.projector_type");
  if (typeof names === "string") metadata.set("clip.projector_type", text(names));
  else {
    metadata.set("clip.vision.projector_type", text(names.vision));
    metadata.set("clip.audio.projector_type", text(names.audio));
  }
  return encodeGguf({ metadata: [...metadata], tensors });
}
