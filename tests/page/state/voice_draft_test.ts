import { assertEquals } from "@std/assert";
import { type AppStore, createStore } from "../../../src/page/state/app_state.ts";
import type { Recording } from "../../../src/page/state/recording.ts";
import { RECORDING_SECONDS_MAX, VoiceDraft } from "../../../src/page/state/voice_draft.ts";

const FILE = new File([new Uint8Array(500)], "recording.webm");

interface World {
  readonly store: AppStore;
  readonly voice: VoiceDraft;
  /** What happened, in its order. */
  readonly done: string[];
  file: File;
  start: () => Promise<Recording>;
  transcribe: (signal: AbortSignal) => Promise<string>;
  nowMs: number;
  /** The microphone is pulled out. */
  unplug: () => void;
}

/** Until nothing is recorded or written; or a second. */
async function untilDone(store: AppStore): Promise<void> {
  for (let i = 0; i < 100 && store.state.voice !== null; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Models by what they hear: the first one answers. */
async function withVoice(hear: boolean[], use: (world: World) => Promise<void>): Promise<void> {
  Object.assign(globalThis, { matchMedia: () => ({ matches: true }) });
  const store = createStore();
  const done: string[] = [];
  const gone = Promise.withResolvers<void>();
  const recording: Recording = {
    level: () => 0.5,
    end: () => (done.push("end"), Promise.resolve(world.file)),
    discard: () => done.push("discard"),
    gone: gone.promise,
  };
  const voice = new VoiceDraft({
    store,
    start: () => world.start(),
    attach: (files) => (done.push(`attach ${files[0].name}`), Promise.resolve()),
    transcribe: (_file, model, signal) => (done.push(`ask ${model}`), world.transcribe(signal)),
    tell: (text) => done.push(text),
    now: () => world.nowMs,
  });
  const world: World = {
    ...{ store, voice, done, file: FILE, nowMs: 0, unplug: gone.resolve },
    start: () => Promise.resolve(recording),
    transcribe: () => Promise.resolve(" So it is. "),
  };
  const model = { state: "loaded", progress: null, error: null, contextLength: null } as const;
  store.set({
    models: hear.map((hearsSounds, i) => ({
      ...model,
      id: `m${i}`,
      seesImages: false,
      hearsSounds,
    })),
  });
  try {
    await use(world);
  } finally {
    voice.discard();
    Reflect.deleteProperty(globalThis, "matchMedia");
  }
}

Deno.test("VoiceDraft attaches what it recorded for a model that hears", () =>
  withVoice([true, true], async ({ store, voice, done }) => {
    const asked = voice.toggle();
    assertEquals(store.state.voice?.phase, "asking");
    await voice.toggle(); // of two clicks the second is not an end
    await asked;
    assertEquals(store.state.voice, { phase: "recording", seconds: 0, level: 0.5 });
    await voice.toggle();
    assertEquals([done, store.state.voice], [["end", "attach recording.webm"], null]);
  }));

Deno.test("VoiceDraft has a model that hears write it down for one that does not", () =>
  withVoice([false, true], async ({ store, voice, done }) => {
    await voice.toggle();
    await voice.toggle();
    assertEquals([done, store.state.dictated], [["end", "ask m1"], "So it is."]);
    assertEquals(store.state.voice, null);
  }));

Deno.test("VoiceDraft ends a recording at the server's limit, and when the microphone is gone", async () => {
  await withVoice([true], async (world) => {
    await world.voice.toggle();
    world.nowMs = RECORDING_SECONDS_MAX * 1000;
    await untilDone(world.store);
    assertEquals(world.done.slice(1), ["end", "attach recording.webm"]);
  });
  await withVoice([true], async ({ store, voice, done, unplug }) => {
    await voice.toggle();
    unplug();
    await untilDone(store);
    assertEquals(done, ["end", "attach recording.webm"]);
  });
});

Deno.test("VoiceDraft leaves nothing of what is discarded, at every moment of it", async () => {
  await withVoice([false, true], async (world) => {
    const { store, voice, done, start } = world;
    const microphone = Promise.withResolvers<Recording>();
    world.start = () => microphone.promise;
    const asked = voice.toggle();
    voice.discard();
    assertEquals(store.state.voice, null);
    microphone.resolve(await start());
    await asked;
    assertEquals([done.splice(0), store.state.voice], [["discard"], null]);
    world.start = start;
    await voice.toggle();
    voice.discard();
    assertEquals([done.splice(0), store.state.voice], [["discard"], null]);
    world.transcribe = (signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    await voice.toggle();
    const written = voice.toggle();
    await Promise.resolve();
    voice.discard();
    await written;
    const left = [store.state.voice, store.state.dictated];
    assertEquals([done, ...left], [["end", "ask m1"], null, ""]);
    const late = Promise.withResolvers<string>();
    world.transcribe = () => late.promise;
    await voice.toggle();
    const writing = voice.toggle();
    for (let i = 0; i < 10; i++) await Promise.resolve();
    voice.discard();
    late.resolve("Too late.");
    await writing;
    assertEquals(store.state.dictated, "");
  });
});

Deno.test("VoiceDraft says what went wrong: no microphone, silence, a server's refusal", () =>
  withVoice([false, true], async (world) => {
    const { store, voice, done, start } = world;
    world.start = () => Promise.reject(new Error("There is no microphone."));
    await voice.toggle();
    world.start = start;
    world.file = new File([], "recording.webm");
    await voice.toggle();
    await voice.toggle();
    world.file = FILE;
    world.transcribe = () => Promise.reject(new Error("It is full."));
    await voice.toggle();
    await voice.toggle();
    assertEquals(done.filter((each) => each.endsWith(".") || each.endsWith("?")), [
      "There is no microphone.",
      "Nothing was recorded: is the microphone switched off?",
      "It is full. Try again.",
    ]);
    assertEquals(store.state.voice, null);
  }));
