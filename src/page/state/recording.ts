/** What a microphone hears, as a file: by the browser's recorder. Knows nothing of chats. */

/** What servers read of what browsers record. */
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus"];
/** Speech needs no more, and ten minutes are 2.4 MB then. */
const BITS_PER_SECOND = 32_000;
/** Samples that a level is made of. */
const LEVEL_SAMPLES = 1024;
/** Quieter than this is silence, in decibels below the loudest. */
const SILENCE_DB = 60;

/** A recording under way. */
export interface Recording {
  /** How loud it is just now, 0 to 1. */
  readonly level: () => number;
  /** Ends it; what was recorded. */
  readonly end: () => Promise<File>;
  /** Ends it, and nothing is left of it. */
  readonly discard: () => void;
  /** Told when it ended by itself: the microphone is gone. */
  readonly gone: Promise<void>;
}

/**
 * Begins to record, when the person lets the page.
 * @throws {Error} with words for people, when there is nothing to record with.
 */
export async function startRecording(): Promise<Recording> {
  const { mediaDevices } = navigator as { mediaDevices?: MediaDevices };
  if (mediaDevices === undefined) {
    throw new Error(
      "Browsers give microphones only to pages by https:// or from this machine: " +
        "start the server with --tls-cert, or attach a file.",
    );
  }
  const type = typeof MediaRecorder === "undefined"
    ? undefined
    : TYPES.find((each) => MediaRecorder.isTypeSupported(each));
  if (type === undefined) {
    throw new Error("This browser records nothing that the server reads: attach a file.");
  }
  let stream: MediaStream;
  try {
    stream = await mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  } catch (error) {
    throw new Error(wordsOf(error));
  }
  try {
    return record(stream, type);
  } catch (error) {
    close(stream);
    throw new Error(wordsOf(error));
  }
}

function record(stream: MediaStream, type: string): Recording {
  const recorder = new MediaRecorder(stream, {
    ...{ mimeType: type, audioBitsPerSecond: BITS_PER_SECOND },
  });
  const parts: Blob[] = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const ended = new Promise<void>((resolve) => recorder.onstop = () => resolve());
  recorder.start();
  const meter = new LevelMeter(stream);
  const stop = () => {
    if (recorder.state !== "inactive") recorder.stop();
    meter.close();
    close(stream);
  };
  return {
    level: () => meter.level,
    async end() {
      stop();
      await ended;
      const [plain] = type.split(";");
      return new File(parts, `recording.${plain.slice(6)}`, { type: plain });
    },
    discard: stop,
    gone: ended,
  };
}

class LevelMeter {
  readonly #context = new AudioContext();
  readonly #analyser = this.#context.createAnalyser();
  readonly #samples = new Float32Array(LEVEL_SAMPLES);

  constructor(stream: MediaStream) {
    this.#analyser.fftSize = LEVEL_SAMPLES;
    try {
      this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    } catch (error) {
      this.close(); // browsers give few of them
      throw error;
    }
  }

  get level(): number {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / LEVEL_SAMPLES + 1e-12);
    return Math.min(1, Math.max(0, 1 + decibels / SILENCE_DB));
  }

  close(): void {
    this.#context.close().catch(() => {});
  }
}

/** The browser's sign that somebody listens goes, too. */
function close(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

function wordsOf(error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") {
    return "The page may not use the microphone: allow it beside its address, and try again.";
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") {
    return "There is no microphone: connect one, and try again.";
  }
  if (name === "NotReadableError" || name === "AbortError") {
    return "The microphone cannot be used: does another program have it?";
  }
  return "The microphone cannot be used: attach a file.";
}
