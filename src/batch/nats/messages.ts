/**
 * What a stream with one message for each subject can do: make, replace, look up, list, remove.
 * Knows nothing of what the messages say.
 */
import type { JetStreamPublishOptions } from "@nats-io/jetstream";
import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { RequestError } from "../../base/errors.ts";
import { type Nats, type NatsLink, STORE_REFUSED } from "./link.ts";

/** A message as it was found. */
export interface FoundMessage {
  /** The stream's number for it: different after every change. */
  readonly sequence: number;
  readonly data: Uint8Array;
  /** Empty where it has none of that name. */
  header(name: string): string;
}

export interface Put {
  readonly data: Uint8Array;
  readonly headers?: JetStreamPublishOptions["headers"];
  /** Only when the subject's last message is this one; 0: when it has none. */
  readonly after?: number;
  /** Nothing is put when another one of this id was lately. */
  readonly messageId?: string;
}

/** JetStream's code for a message that is to be removed and is not there. */
const NO_SUCH_SEQUENCE = 10057;

/** One stream. */
export class Messages {
  readonly #link: NatsLink;
  readonly #stream: string;

  constructor(link: NatsLink, stream: string) {
    this.#link = link;
    this.#stream = stream;
  }

  /**
   * @returns its sequence; null where the subject is not as `after` says, or holds one already and
   *   the stream refuses a second.
   * @throws {RequestError} 503 when it cannot be said, 507 when there is no room.
   */
  async put(subject: string, { data, headers, after, messageId }: Put): Promise<number | null> {
    const expect = after === undefined ? undefined : { lastSubjectSequence: after };
    try {
      const { seq } = await this.#link.use(({ streams }) =>
        streams.publish(subject, data, { headers, msgID: messageId, expect })
      );
      return seq;
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) throw error;
      if (error.code === JetStreamApiCodes.StreamWrongLastSequence) return null;
      if (error.code === STORE_REFUSED && /per subject/.test(error.message)) return null;
      throw isOutOfRoom(error) ? this.#noRoom(error.message) : error;
    }
  }

  #noRoom(reason: string): RequestError {
    return new RequestError(
      `There is no room in the queue's stream ${this.#stream} (${reason}): delete files, or ` +
        "raise its limits",
      { status: 507, code: "insufficient_storage" },
    );
  }

  async get(subject: string): Promise<FoundMessage | null> {
    const query = { last_by_subj: subject };
    const found = await this.#link.use(async ({ manager }) =>
      // Any replica of a cluster answers first, one that lags behind, too: that there is none, only
      // the stream's leader knows.
      await manager.direct.getMessage(this.#stream, query) ??
        await manager.streams.getMessage(this.#stream, query)
    );
    if (found === null) return null;
    const { seq: sequence, data, header } = found;
    return { sequence, data, header: (name) => header.get(name) };
  }

  /** The subjects that match a filter and have a message, in no order. */
  async subjects(filter: string): Promise<string[]> {
    const { state } = await this.#link.use(({ manager }) =>
      manager.streams.info(this.#stream, { subjects_filter: filter })
    );
    return Object.keys(state.subjects ?? {});
  }

  /** @returns how many messages were removed. */
  async remove(filter: string): Promise<number> {
    const { purged } = await this.#link.use(({ manager }) =>
      manager.streams.purge(this.#stream, { filter })
    );
    return purged;
  }

  /**
   * Removes one message, if it is still there. Of a work queue messages are removed so, for a purge
   * of some of its subjects makes its consumer pass over the others (seen with nats-server 2.9.10).
   */
  async removeOne({ sequence }: FoundMessage): Promise<void> {
    try {
      await this.#link.use(({ manager }) =>
        manager.streams.deleteMessage(this.#stream, sequence, false)
      );
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== NO_SUCH_SEQUENCE) throw error;
    }
  }

  /** Anything else that the connection can do. */
  use<T>(work: (nats: Nats) => Promise<T>): Promise<T> {
    return this.#link.use(work);
  }
}

/** By the stream's limits, the account's, or the server's. */
function isOutOfRoom({ code, message }: JetStreamApiError): boolean {
  return code === STORE_REFUSED || /insufficient|resource limits|no space/i.test(message);
}
