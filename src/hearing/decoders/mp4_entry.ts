/** How the sound of an MP4 is coded (ISO/IEC 14496-12, 12.2.3, and 14496-14). */
import { unknown } from "../sound_error.ts";
import { boxesIn, type Damaged, find, part } from "./mp4_boxes.ts";

/** What is not read, as a sentence has it. */
const UNREAD: Readonly<Record<string, string>> = {
  "alac": "ALAC (Apple Lossless)",
  "ac-3": "AC-3",
  "ac-4": "AC-4",
  "ec-3": "E-AC-3",
  "enca": "encrypted sound",
  "drms": "encrypted sound",
  "Opus": "Opus",
  "fLaC": "FLAC",
  "samr": "AMR",
  "sawb": "AMR",
  ".mp3": "MP3",
};
/** By the descriptor's number. */
const UNREAD_OBJECTS: Readonly<Record<number, string>> = {
  0x66: "AAC Main",
  0x68: "AAC SSR",
  0x69: "MP3",
  0x6b: "MP3",
  0xa5: "AC-3",
  0xa6: "E-AC-3",
  0xa9: "DTS",
};
const MPEG4 = 0x40;
const MPEG2_LOW_COMPLEXITY = 0x67;

/** Of an entry that says how a sound is coded; QuickTime's later versions say more. */
const ENTRY_BYTES = 28;
const MORE_BYTES: Readonly<Record<number, number>> = { 1: 16, 2: 36 };

/** Numbers of descriptors. */
const STREAM = 3, DECODER = 4, SPECIFIC = 5;

/** @returns what AAC's decoder has to know, of the first entry. */
export function readEntry(entries: DataView, damaged: Damaged): DataView {
  if (entries.byteLength < 8) throw damaged("it does not say how its sound is coded");
  for (const { name, data } of boxesIn(part(entries, 8), damaged)) {
    if (name !== "mp4a") throw unread(UNREAD[name] ?? `the coding "${printable(name)}"`);
    const head = ENTRY_BYTES + (data.byteLength < 10 ? 0 : MORE_BYTES[data.getUint16(8)] ?? 0);
    if (data.byteLength < head) break;
    const inside = part(data, head);
    if (find(inside, ["sinf"], damaged) !== undefined) throw unread("encrypted sound");
    const told = find(inside, ["esds"], damaged) ?? find(inside, ["wave", "esds"], damaged);
    if (told === undefined) break;
    return readDescriptors(told, damaged);
  }
  throw damaged("it does not say how its sound is coded");
}

function unread(what: string): Error {
  return unknown(`its file is an MP4 of ${what}, which is not read`);
}

function printable(name: string): string {
  return name.replace(/[^ -~]/g, "?");
}

/** Each descriptor but the last one is within the one before, behind some bytes. */
function readDescriptors(data: DataView, damaged: Damaged): DataView {
  const short = () => damaged("it says in too few bytes how its sound is coded");
  let rest = data.byteLength < 4 ? data : part(data, 4);
  const enter = (number: number) => {
    let at = 0;
    // Others may be before it.
    while (at + 2 <= rest.byteLength) {
      const own = rest.getUint8(at++);
      let size = 0, isLast = false;
      for (let i = 0; i < 4 && !isLast && at < rest.byteLength; i++) {
        const byte = rest.getUint8(at++);
        size = 128 * size + (byte & 127);
        isLast = byte < 128;
      }
      if (size > rest.byteLength - at) throw short();
      if (own === number) return rest = part(rest, at, at + size);
      at += size;
    }
    throw short();
  };
  const skip = (bytes: number) => {
    if (bytes > rest.byteLength) throw short();
    rest = part(rest, bytes);
  };
  const stream = enter(STREAM);
  const marks = stream.byteLength < 3 ? 0 : stream.getUint8(2);
  // What it depends on, an address, and another stream's clock.
  skip(3 + (marks & 128 ? 2 : 0));
  if (marks & 64) skip(1 + (rest.byteLength > 0 ? rest.getUint8(0) : 0));
  if (marks & 32) skip(2);
  const object = enter(DECODER).byteLength < 13 ? 0 : rest.getUint8(0);
  if (object !== MPEG4 && object !== MPEG2_LOW_COMPLEXITY) {
    throw unread(UNREAD_OBJECTS[object] ?? `audio of kind ${object}`);
  }
  skip(13);
  return enter(SPECIFIC);
}
