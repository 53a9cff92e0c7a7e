/** Packets of the first stream in an Ogg file. Knows nothing of what is in them. */
import { has } from "../sound_kind.ts";

const HEAD_BYTES = 27;
/** Ends of packets: a segment is shorter than this where one does. */
const SEGMENT_BYTES = 255;

export interface OggPackets {
  /** Those that are whole. */
  readonly packets: readonly Uint8Array[];
  /** Of the last page that says where it is: samples from the beginning; -1: none does. */
  readonly end: number;
}

/** Sums of pages are not looked at: a decoder bears what is wrong in a packet. */
export function oggPackets(file: Uint8Array, damaged: (what: string) => Error): OggPackets {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const packets: Uint8Array[] = [];
  let begun: Uint8Array[] = [];
  let end = -1, serial: number | null = null;
  for (let at = 0; at + HEAD_BYTES <= file.length;) {
    if (!has(file, at, "OggS")) throw damaged(`there is no page at byte ${at}`);
    const count = file[at + 26], from = at + HEAD_BYTES;
    const own = view.getUint32(at + 14, true);
    serial ??= own;
    let to = from + count;
    const isOfStream = own === serial;
    for (let segment = 0; segment < count; segment++) {
      const size = file[from + segment];
      if (to + size > file.length) throw damaged("it ends within a page");
      if (isOfStream && size > 0) begun.push(file.subarray(to, to + size));
      to += size;
      if (!isOfStream || size === SEGMENT_BYTES) continue;
      packets.push(joined(begun));
      begun = [];
    }
    const place = view.getBigInt64(at + 6, true);
    if (isOfStream && place >= 0n) end = Number(place);
    at = to;
  }
  return { packets, end };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
