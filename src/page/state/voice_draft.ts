/**
 * What people say instead of writing it: goes with the message where the model hears; else a model
 * that does writes it down, and it is a part of the text.
 */
import { troubleOf } from "../server/errors.ts";
import { type AppStore, currentModel, hearingModel } from "./app_state.ts";
import type { Recording } from "./recording.ts";

/** The server hears ten minutes; clocks differ a little. */
export const RECORDING_SECONDS_MAX = 595;
/** The level and the time are shown so often. */
const LOOK_MS = 100;
/** Less than this was a mistake of the finger. */
const BYTES_MIN = 200;

export interface VoiceDraftOptions {
  readonly store: AppStore;
  readonly start: () => Promise<Recording>;
  /** Takes a sound for the message. */
  readonly attach: (files: readonly File[]) => Promise<void>;
  /** What a model hears in a sound. */
  readonly transcribe: (file: File, model: string, signal: AbortSignal) => Promise<string>;
  readonly tell: (text: string) => void;
  /** Milliseconds. */
  readonly now?: () => number;
}

export class VoiceDraft {
  readonly #by: VoiceDraftOptions;
  readonly #now: () => number;
  #recording: Recording | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #startMs = 0;
  /** Ends what is under way, whatever that is. */
  #abort = new AbortController();

  constructor(options: VoiceDraftOptions) {
    this.#by = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Begins to record; or ends it, and does with it what the model can. */
  async toggle(): Promise<void> {
    const { voice } = this.#by.store.state;
    if (voice === null) await this.#begin();
    else if (voice.phase === "recording") await this.#end();
  }

  /** Leaves it, wherever it is. */
  discard(): void {
    this.#abort.abort();
    this.#recording?.discard();
    this.#leave();
  }

  async #begin(): Promise<void> {
    const { store, start, tell } = this.#by;
    const { signal } = this.#abort = new AbortController();
    store.set({ voice: { phase: "asking", seconds: 0, level: 0 } });
    try {
      const recording = await start();
      // The person may have given up before the browser had asked.
      if (signal.aborted) return recording.discard();
      this.#recording = recording;
      this.#startMs = this.#now();
      this.#look();
      this.#timer = setInterval(() => this.#look(), LOOK_MS);
      recording.gone.then(() => {
        if (this.#recording === recording) this.#end();
      });
    } catch (error) {
      if (signal.aborted) return;
      this.#leave();
      tell(troubleOf(error).message);
    }
  }

  #look(): void {
    const recording = this.#recording!;
    const seconds = (this.#now() - this.#startMs) / 1000;
    if (seconds >= RECORDING_SECONDS_MAX) {
      this.#by.tell("Models hear ten minutes at most: the recording has ended.");
      this.#end();
      return;
    }
    const voice = { phase: "recording", seconds, level: recording.level() } as const;
    this.#by.store.set({ voice });
  }

  async #end(): Promise<void> {
    const { store, attach, tell } = this.#by;
    const recording = this.#recording!;
    const { signal } = this.#abort;
    this.#recording = null;
    clearInterval(this.#timer);
    store.set({ voice: { phase: "writing", seconds: 0, level: 0 } });
    try {
      const file = await recording.end();
      if (signal.aborted) return;
      if (file.size < BYTES_MIN) tell("Nothing was recorded: is the microphone switched off?");
      else if (currentModel(store.state)?.hearsSounds) await attach([file]);
      else await this.#write(file, signal);
    } catch (error) {
      if (signal.aborted) return;
      const { message, cure } = troubleOf(error);
      tell(`${message} ${cure}`);
    }
    if (!signal.aborted) this.#leave();
  }

  async #write(file: File, signal: AbortSignal): Promise<void> {
    const { store, transcribe, tell } = this.#by;
    const model = hearingModel(store.state);
    if (model === null) return tell("No model hears any more: the recording is gone.");
    const text = (await transcribe(file, model, signal)).trim();
    if (signal.aborted) return;
    if (text === "") tell("The model heard no words.");
    else store.set({ dictated: text });
  }

  #leave(): void {
    clearInterval(this.#timer);
    this.#recording = null;
    this.#by.store.set({ voice: null });
  }
}
