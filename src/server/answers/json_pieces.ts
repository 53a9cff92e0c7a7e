/** Long answers of JSON, written while they are sent: thousands of vectors take seconds. */
import { Turns } from "../../base/turns.ts";
import type { AppSettings } from "../options.ts";
import { eventStreamResponse, type StreamFormat } from "./event_stream.ts";

const CONTENT_TYPE = "application/json";
/** UTF-16 units of an answer that goes out whole, with its length. */
const WHOLE_UNITS = 1 << 18;
/** Items that are written between two looks at the clock. */
const ITEMS_AT_ONCE = 1 << 12;

const FORMAT: StreamFormat = { contentType: CONTENT_TYPE, keepAlive: null, errorEvent: () => "" };

/** An answer of the text that `pieces` make, each in a few milliseconds. */
export function jsonInPieces(settings: AppSettings, pieces: Iterator<string>): Response {
  let head = "";
  while (head.length < WHOLE_UNITS) {
    const piece = pieces.next();
    if (piece.done) return new Response(head, { headers: { "content-type": CONTENT_TYPE } });
    head += piece.value;
  }
  return eventStreamResponse(restInTurns(head, pieces), {
    ...settings,
    format: FORMAT,
    onGone: () => {},
    onError: (error) => settings.onError(error, "json"),
    onEnd: () => {},
  });
}

async function* restInTurns(head: string, pieces: Iterator<string>): AsyncGenerator<string> {
  const turns = new Turns(undefined);
  let text = head;
  for (;;) {
    const { done, value } = pieces.next();
    if (!done) text += value;
    if (!done && text.length < WHOLE_UNITS && !turns.isDue()) continue;
    yield text;
    if (done) return;
    text = "";
    await turns.give();
  }
}

/** JSON of a list, each item written by `write`. */
export function* listPieces<T>(
  items: readonly T[],
  write: (item: T, index: number) => string,
): Generator<string> {
  yield "[";
  for (let index = 0; index < items.length; index++) {
    yield index === 0 ? write(items[0], 0) : `,${write(items[index], index)}`;
  }
  yield "]";
}

/** The same of numbers, thousands at a time. */
export function* numberPieces(items: readonly number[]): Generator<string> {
  yield "[";
  for (let begin = 0; begin < items.length; begin += ITEMS_AT_ONCE) {
    yield (begin === 0 ? "" : ",") + items.slice(begin, begin + ITEMS_AT_ONCE).join();
  }
  yield "]";
}

/** JSON of an object that has the member `name` in front of those of `rest`. */
export function* memberPieces(
  name: string,
  pieces: Iterable<string>,
  rest: Readonly<Record<string, unknown>>,
): Generator<string> {
  yield `{${JSON.stringify(name)}:`;
  yield* pieces;
  const others = JSON.stringify(rest).slice(1);
  yield others === "}" ? others : `,${others}`;
}

/** A vector as a list of numbers. */
export function vectorOnWire(vector: Float32Array): string {
  return JSON.stringify([...vector]);
}
