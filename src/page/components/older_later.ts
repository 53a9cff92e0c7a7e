/**
 * A long chat opens at its end: its newest messages are shown at once, the older ones a few at a
 * time, so that no key or click waits for all of them. A message that has been laid out once, and
 * is far from the end, may rest: the browser knows its height and draws it only where it is seen.
 */
import { useEffect, useRef, useState } from "preact/hooks";

/** More than any screen has room for. */
const NEWEST = 16;
const BATCH = 8;
/** Between two batches the page hears keys and draws. */
const PAUSE_MS = 25;

/** Which messages of a branch are shown, by index. */
export interface Shown {
  /** The first one. */
  readonly first: number;
  /** Those from here on... */
  readonly restFrom: number;
  /** ...to here, exclusive, may rest. */
  readonly restEnd: number;
  /** All of them are shown. */
  readonly isWhole: boolean;
}

/** What of a branch is shown after so many batches of older messages. Pure. */
export function shownAfter(batches: number, atOpening: number, count: number): Shown {
  // A version of a message may have a shorter branch behind it.
  const least = Math.max(0, Math.min(atOpening, count) - NEWEST);
  const first = least - batches * BATCH;
  return {
    first: Math.max(0, first),
    // The last batch has to be laid out, too, before it rests.
    restFrom: Math.max(0, first + BATCH),
    restEnd: count - NEWEST,
    isWhole: first <= -BATCH,
  };
}

/** Follows a chat's branch of `count` messages; a chat that is opened begins anew. */
export function useOlderLater(chatId: string | undefined, count: number): Shown {
  const opened = useRef({ chatId, count, batches: 0 });
  const [, show] = useState({});
  if (opened.current.chatId !== chatId) opened.current = { chatId, count, batches: 0 };
  const chat = opened.current;
  const shown = shownAfter(chat.batches, chat.count, count);
  useEffect(() => {
    if (shown.isWhole) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const next = () => {
      chat.batches++;
      show({});
    };
    // Only behind a frame does the browser know how high the last batch is.
    const frame = requestAnimationFrame(() => timer = setTimeout(next, PAUSE_MS));
    return () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
  });
  return shown;
}
