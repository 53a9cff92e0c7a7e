/** Opus in Ogg and in WebM, by libopus, compiled to WebAssembly: see `mp3.ts`. */
import { damaged, unknown } from "../sound_error.ts";
import { has, SOUND_NAMES } from "../sound_kind.ts";
import type { Samples } from "../types.ts";
import { oggPackets } from "./ogg.ts";
import { SampleList } from "./sample_list.ts";
import { webmPackets } from "./webm.ts";

/** What it is decoded to, whatever it was before. */
const RATE = 48_000;
const HEAD_BYTES = 19;
const CHANNELS_MAX = 8;

/** What a file has of it. */
interface OpusStream {
  readonly head: Uint8Array | undefined;
  readonly packets: readonly Uint8Array[];
  /** Samples from where the encoder began to where the sound ends, of those that were decoded. */
  readonly endOf: (decoded: number) => number;
  readonly damaged: (what: string) => Error;
}

/** @throws {RequestError} 400 when nothing of it can be decoded, or it is too long. */
export function decodeOggOpus(file: Uint8Array): Promise<Samples> {
  const ogg = (what: string) => damaged(SOUND_NAMES.opus, what);
  const { packets: [head, , ...packets], end } = oggPackets(file, ogg);
  const endOf = (decoded: number) => end > 0 ? Math.min(end, decoded) : decoded;
  return decode({ head, packets, endOf, damaged: ogg });
}

/** @throws {RequestError} 400, also when its sound is coded otherwise. */
export function decodeWebm(file: Uint8Array): Promise<Samples> {
  const webm = (what: string) => damaged(SOUND_NAMES.webm, what);
  const { codec, head, packets, paddingNs } = webmPackets(file, webm);
  if (codec !== "A_OPUS") {
    throw unknown(`its file is a WebM or Matroska without Opus, which is not read`);
  }
  const padding = Math.round(paddingNs * RATE / 1e9);
  return decode({ head, packets, endOf: (decoded) => decoded - padding, damaged: webm });
}

async function decode({ head, packets, endOf, damaged }: OpusStream): Promise<Samples> {
  const options = readHead(head, damaged);
  // It takes a moment to load, which other sounds do not wait for.
  const { OpusDecoder } = await import("opus-decoder");
  const decoder = new OpusDecoder(options);
  await decoder.ready;
  const samples = new SampleList(RATE);
  try {
    for (const packet of packets) {
      // What cannot be decoded is left out, and named in `errors`.
      const { channelData, samplesDecoded } = decoder.decodeFrame(packet);
      if (samplesDecoded > 0) mix(samples.grow(samplesDecoded), channelData);
    }
  } finally {
    decoder.free();
  }
  if (samples.count === 0) throw damaged("none of it can be decoded");
  // An encoder begins before the sound does, and fills the last packet.
  const end = Math.max(0, endOf(samples.count));
  return { rate: RATE, values: samples.take().subarray(options.skipped, end) };
}

function readHead(head: Uint8Array | undefined, opus: (what: string) => Error) {
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
