/** Opus in Ogg, by libopus, compiled to WebAssembly: see `mp3.ts`. */
import { damaged } from "../sound_error.ts";
import { has, SOUND_NAMES } from "../sound_kind.ts";
import type { Samples } from "../types.ts";
import { oggPackets } from "./ogg.ts";
import { SampleList } from "./sample_list.ts";

/** What it is decoded to, whatever it was before. */
const RATE = 48_000;
const HEAD_BYTES = 19;
const CHANNELS_MAX = 8;
/** Its head, and what its writer says of it. */
const HEAD_PACKETS = 2;

/** @throws {RequestError} 400 when nothing of it can be decoded, or it is too long. */
export async function decodeOpus(file: Uint8Array): Promise<Samples> {
  const { packets, end } = oggPackets(file, opus);
  const head = readHead(packets[0]);
  // It takes a moment to load, which other sounds do not wait for.
  const { OpusDecoder } = await import("opus-decoder");
  const decoder = new OpusDecoder(head);
  await decoder.ready;
  const samples = new SampleList(RATE);
  try {
    for (let i = HEAD_PACKETS; i < packets.length; i++) {
      // What cannot be decoded is left out, and named in `errors`.
      const { channelData, samplesDecoded } = decoder.decodeFrame(packets[i]);
      if (samplesDecoded > 0) mix(samples.grow(samplesDecoded), channelData);
    }
  } finally {
    decoder.free();
  }
  if (samples.count === 0) throw opus("none of it can be decoded");
  // An encoder begins before the sound does, and fills the last packet.
  const values = samples.take(Math.max(0, end)).subarray(head.skipped);
  return { rate: RATE, values };
}

function readHead(head: Uint8Array | undefined) {
  if (head === undefined || head.length < HEAD_BYTES || !has(head, 0, "OpusHead")) {
    throw opus("it does not say what it is");
  }
  const channels = head[9], family = head[18];
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const skipped = view.getUint16(10, true);
  if (channels < 1 || channels > CHANNELS_MAX) throw opus(`it has ${channels} channels`);
  const of = { channels, preSkip: 0, skipped };
  if (family === 0 && channels <= 2) {
    return {
      ...of,
      ...{ streamCount: 1, coupledStreamCount: channels - 1 },
      channelMappingTable: channels === 1 ? [0] : [0, 1],
    };
  }
  const [streamCount = 0, coupledStreamCount = 0, ...table] = head.subarray(HEAD_BYTES);
  const channelMappingTable = table.slice(0, channels);
  const streams = streamCount + coupledStreamCount;
  const isWhole = channelMappingTable.length === channels && streamCount >= 1 &&
    coupledStreamCount <= streamCount && streams <= CHANNELS_MAX &&
    channelMappingTable.every((stream) => stream < streams || stream === 255);
  if (!isWhole) throw opus("it says of its channels what cannot be");
  return { ...of, streamCount, coupledStreamCount, channelMappingTable };
}

/** The mean of all channels. */
function mix(mixed: Float32Array, channels: readonly Float32Array[]): void {
  for (const values of channels) {
    for (let i = 0; i < mixed.length; i++) mixed[i] += values[i] / channels.length;
  }
}

function opus(what: string): Error {
  return damaged(SOUND_NAMES.opus, what);
}
