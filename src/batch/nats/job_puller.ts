/**
 * Asks the queue for messages, one at a time for each that waits. A question cannot be taken back
 * without a risk to the message that is on its way, so one whose asker has left stays open for the
 * next asker, and what it brings meanwhile is given back.
 */
import type { Consumer, ConsumerMessages, JsMsg } from "@nats-io/jetstream";
import type { Nats, NatsLink } from "./link.ts";
import { JOBS, WORKERS } from "./streams.ts";

/** How long one question is open. */
const OPEN_MS = 30_000;

interface Question {
  /** Null: nothing came. */
  readonly answer: Promise<JsMsg | null>;
  /** Ends it, at the risk of the message that is on its way. */
  stop(): void;
}

export class JobPuller {
  readonly #link: NatsLink;
  readonly #onUnwanted: (message: JsMsg) => void;
  readonly #open = new Set<Question>();
  /** Those that nobody waits for. */
  readonly #spare = new Set<Question>();
  /** The consumer of the connection that it was made with. */
  #consumer: { readonly nats: Nats; readonly promise: Promise<Consumer> } | null = null;

  /** `onUnwanted` gets what comes when nobody waits for it. */
  constructor(link: NatsLink, onUnwanted: (message: JsMsg) => void) {
    this.#link = link;
    this.#onUnwanted = onUnwanted;
  }

  /**
   * The next message. Null when none came for a while, or once `signal` is aborted.
   * @throws {RequestError} 503 when the queue is out of reach.
   */
  async next(signal: AbortSignal): Promise<JsMsg | null> {
    if (signal.aborted) return null;
    const question = this.#spare.values().next().value ?? this.#ask();
    this.#spare.delete(question);
    const left = Promise.withResolvers<null>();
    const leave = () => {
      // Its answer is on its way to here: nobody else may have it.
      if (!this.#open.has(question)) return;
      this.#spare.add(question);
      left.resolve(null);
    };
    signal.addEventListener("abort", leave);
    try {
      return await Promise.race([question.answer, left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  close(): void {
    for (const question of this.#open) question.stop();
  }

  #ask(): Question {
    let messages: ConsumerMessages | null = null;
    let isStopped = false;
    const stop = () => {
      isStopped = true;
      messages?.stop();
    };
    const asked = this.#link.use(async (nats) => {
      const consumer = await this.#consumerOf(nats);
      messages = await consumer.fetch({ max_messages: 1, expires: OPEN_MS });
      if (isStopped) messages.stop();
      for await (const message of messages) return message;
      return null;
    });
    const answer = asked.finally(() => {
      stop();
      this.#open.delete(question);
    }).then((message) => {
      // Still spare: whoever asked has left.
      if (!this.#spare.delete(question) || message === null) return message;
      this.#onUnwanted(message);
      return null;
    });
    answer.catch(() => this.#spare.delete(question));
    const question: Question = { answer, stop };
    this.#open.add(question);
    return question;
  }

  #consumerOf(nats: Nats): Promise<Consumer> {
    if (this.#consumer?.nats !== nats) {
      const promise = nats.streams.consumers.get(JOBS, WORKERS);
      this.#consumer = { nats, promise };
      promise.catch(() => this.#consumer = null);
    }
    return this.#consumer!.promise;
  }
}
