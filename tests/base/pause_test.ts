import { assert, assertEquals } from "@std/assert";
import { pause } from "../../src/base/pause.ts";

Deno.test("pause() ends when its signal is aborted, at once where it was before", async () => {
  const stop = new AbortController();
  const long = pause(3_600_000, stop.signal);
  stop.abort();
  await long;
  await pause(3_600_000, stop.signal);
});

Deno.test("pause() takes its time, and leaves nothing at a signal that lives on", async () => {
  const { signal } = new AbortController();
  const heard = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: EventListenerOrEventListenerObject) => {
    heard.add(listener);
    add(type, listener);
  };
  signal.removeEventListener = (type: string, listener: EventListenerOrEventListenerObject) => {
    heard.delete(listener);
    remove(type, listener);
  };
  const startMs = performance.now();
  await pause(20, signal);
  assert(performance.now() - startMs > 15);
  assertEquals(heard.size, 0);
});
