/** The data of an event stream, event by event. Knows nothing of what it says. */

/** The end of a stream that was not cut. */
const END = "[DONE]";

/**
 * What comes behind "data:" of each event, parsed; a stream that says it is over ends.
 * @throws {SyntaxError} when an event is not JSON.
 */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let held = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      held += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const events = held.split(/\r?\n\r?\n/);
      held = done ? "" : events.pop()!;
      for (const event of events) {
        const data = dataOf(event);
        if (data === END) return;
        if (data !== "") yield JSON.parse(data);
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function dataOf(event: string): string {
  return event.split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trimStart())
    .join("\n");
}
