/**
 * Packets of the first sound in a WebM or Matroska file (RFC 8794, RFC 9559): what browsers record.
 * Knows nothing of what is in them.
 */
import { readVint } from "./ebml.ts";
import { frames } from "./webm_frames.ts";

export interface WebmPackets {
  /** How the sound is coded, and what its decoder has to know before; null: there is none. */
  readonly codec: string | null;
  readonly head: Uint8Array | undefined;
  readonly packets: readonly Uint8Array[];
  /** Nanoseconds at the end that are no sound. */
  readonly paddingNs: number;
}

/** Names of elements. */
const SEGMENT = 0x18538067;
const TRACKS = 0x1654ae6b;
const TRACK = 0xae;
const TRACK_NUMBER = 0xd7;
const TRACK_TYPE = 0x83;
const CODEC = 0x86;
const CODEC_HEAD = 0x63a2;
const ENCODINGS = 0x6d80;
const CLUSTER = 0x1f43b675;
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;
const SIMPLE_BLOCK = 0xa3;
const PADDING = 0x75a2;

/** What is gone into. Where it ends need not be known: what follows it says itself what it is. */
const PARENTS = new Set([SEGMENT, TRACKS, TRACK, CLUSTER, BLOCK_GROUP]);

const SOUND = 2;

interface Track {
  number: number;
  type: number;
  codec: string;
  head: Uint8Array | undefined;
  isEncoded: boolean;
}

/** @throws {Error} what `damaged` makes of a sentence. */
export function webmPackets(file: Uint8Array, damaged: (what: string) => Error): WebmPackets {
  const tracks: Track[] = [];
  const packets: Uint8Array[] = [];
  let sound: Track | undefined;
  let paddingNs = 0;
  for (let at = 0; at < file.length;) {
    const name = readVint(file, at, { keepsMark: true });
    const size = name && readVint(file, at + name.bytes);
    if (!name || !size) throw damaged(`there is no element at byte ${at}`);
    const from = at + name.bytes + size.bytes;
    if (PARENTS.has(name.value)) {
      if (name.value === TRACK) tracks.push(newTrack());
      at = from;
      continue;
    }
    if (size.value > file.length - from) throw damaged("it ends within an element");
    const data = file.subarray(from, from + size.value);
    const isBlock = name.value === BLOCK || name.value === SIMPLE_BLOCK;
    if (isBlock) {
      sound ??= firstSound(tracks);
      if (sound?.isEncoded) throw damaged("its sound is packed or encrypted");
      const own = sound === undefined ? [] : frames(data, sound.number, damaged);
      if (own.length > 0) paddingNs = 0;
      for (const frame of own) packets.push(frame);
    } else if (name.value === PADDING) {
      // Below zero, which has its first bit, would be sound that is not there.
      paddingNs = data[0] < 128 ? readInteger(data) : 0;
    } else if (tracks.length > 0) {
      note(tracks[tracks.length - 1], name.value, data);
    }
    at = from + size.value;
  }
  const { codec = null, head } = sound ?? firstSound(tracks) ?? {};
  return { codec, head, packets, paddingNs };
}

function newTrack(): Track {
  return { number: 0, type: 0, codec: "", head: undefined, isEncoded: false };
}

function firstSound(tracks: readonly Track[]): Track | undefined {
  return tracks.find(({ type }) => type === SOUND);
}

/** What an element says of a track. */
function note(track: Track, name: number, data: Uint8Array): void {
  switch (name) {
    case TRACK_NUMBER:
      track.number = readInteger(data);
      return;
    case TRACK_TYPE:
      track.type = readInteger(data);
      return;
    case CODEC:
      track.codec = new TextDecoder("latin1").decode(data.subarray(0, 32));
      return;
    case CODEC_HEAD:
      track.head = data;
      return;
    case ENCODINGS:
      track.isEncoded = true;
  }
}

/** Of at most 8 bytes, the highest first; 0 of none. */
function readInteger(data: Uint8Array): number {
  return data.subarray(0, 8).reduce((value, byte) => 256 * value + byte, 0);
}
