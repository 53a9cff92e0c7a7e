/**
 * AAC-LC in MP4 and M4A: what telephones record, and the first sound of a film. Of its edit list
 * what is before the sound and behind it is left out.
 */
import { damaged } from "../sound_error.ts";
import { SOUND_NAMES } from "../sound_kind.ts";
import type { Samples } from "../types.ts";
import { LONG } from "./aac/bands.ts";
import { AacDecoder } from "./aac/decoder.ts";
import { readAacRate } from "./aac_config.ts";
import { BitReader } from "./bit_reader.ts";
import { boxesIn, find, longAt, nameAt } from "./mp4_boxes.ts";
import { readEntry } from "./mp4_entry.ts";
import { fragmentPackets, tablePackets } from "./mp4_packets.ts";
import { SampleList } from "./sample_list.ts";

/** @throws {RequestError} 400 when it is damaged, of another coding, or too long. */
export function decodeMp4(file: Uint8Array): Samples {
  const whole = new DataView(file.buffer, file.byteOffset, file.length);
  const movie = find(whole, ["moov"], mp4);
  const track = movie && firstSound(movie);
  const table = track && find(track, ["mdia", "minf", "stbl"], mp4);
  const entries = table && find(table, ["stsd"], mp4);
  if (entries === undefined) throw mp4("there is no sound in it");
  const config = readEntry(entries, mp4);
  const rate = readAacRate(new BitReader(bytesOf(config), mp4));
  const decoder = new AacDecoder(rate);
  const samples = new SampleList(rate);
  const decode = (packet: Uint8Array) =>
    decoder.decode(new BitReader(packet, mp4), samples.grow(LONG));
  for (const packet of tablePackets(whole, table!, mp4)) decode(packet);
  const of = { track: trackNumber(track!), movie: movie! };
  for (const packet of fragmentPackets(whole, of, mp4)) decode(packet);
  const { from, seconds } = readEdit(movie!, track!);
  const begin = Math.round(from * rate);
  return { rate, values: samples.take().subarray(begin, begin + Math.round(seconds * rate)) };
}

function firstSound(movie: DataView): DataView | undefined {
  for (const { name, data } of boxesIn(movie, mp4)) {
    if (name !== "trak") continue;
    const kind = find(data, ["mdia", "hdlr"], mp4);
    if (kind !== undefined && kind.byteLength >= 12 && nameAt(kind, 8) === "soun") return data;
  }
  return undefined;
}

/** 0: it does not say. */
function trackNumber(track: DataView): number {
  return fieldBehindTimes(find(track, ["tkhd"], mp4));
}

/** The number behind both times, which have 32 bits or 64; 0: there is none. */
function fieldBehindTimes(head: DataView | undefined): number {
  const at = head !== undefined && head.byteLength > 0 && head.getUint8(0) === 1 ? 20 : 12;
  return head === undefined || head.byteLength < at + 4 ? 0 : head.getUint32(at);
}

/**
 * Where the sound begins among the samples, and how long it is: of a list of one part, besides
 * empty ones. An encoder begins before the sound does.
 */
function readEdit(movie: DataView, track: DataView): { from: number; seconds: number } {
  const all = { from: 0, seconds: Infinity };
  const list = find(track, ["edts", "elst"], mp4);
  const ownScale = fieldBehindTimes(find(track, ["mdia", "mdhd"], mp4));
  const scale = fieldBehindTimes(find(movie, ["mvhd"], mp4));
  if (list === undefined || list.byteLength < 8 || ownScale === 0 || scale === 0) return all;
  const isLong = list.getUint8(0) === 1, rowBytes = isLong ? 20 : 12;
  if (list.byteLength < 8 + rowBytes * list.getUint32(4)) throw mp4("its edit list is not whole");
  const edits: { from: number; seconds: number }[] = [];
  for (let row = 0; row < list.getUint32(4) && edits.length < 2; row++) {
    const at = 8 + row * rowBytes;
    const units = isLong ? longAt(list, at) : list.getUint32(at);
    const from = isLong ? Number(list.getBigInt64(at + 8)) : list.getInt32(at + 4);
    // 0: to the end, as fragments have it.
    if (from >= 0) edits.push({ from: from / ownScale, seconds: units / scale || Infinity });
  }
  return edits.length === 1 ? edits[0] : all;
}

function bytesOf(data: DataView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function mp4(what: string): Error {
  return damaged(SOUND_NAMES.mp4, what);
}
