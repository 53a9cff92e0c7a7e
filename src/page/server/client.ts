/** Requests to the server that the page came from, with the key of the person, if it wants one. */
import { connectionLost, refusal } from "./errors.ts";

const KEY = "ganglion.key";

export interface ClientOptions {
  /** Asks the person for a key; null: none is given. isWrong: the last one is not known. */
  readonly askKey: (isWrong: boolean) => Promise<string | null>;
}

export class Client {
  readonly #askKey: ClientOptions["askKey"];
  #key: string | null = sessionStorage.getItem(KEY);
  #asking: Promise<boolean> | null = null;
  /** The person gave no key: what goes on by itself does not ask again. */
  #isDeclined = false;

  constructor({ askKey }: ClientOptions) {
    this.#askKey = askKey;
  }

  /** The person wants it once more: they may be asked for a key again. */
  askAgain(): void {
    this.#isDeclined = false;
  }

  /**
   * An answer that is good.
   * @throws {PageError} what is wrong and what helps; what aborts `signal` is thrown as it is.
   */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    for (;;) {
      const key = this.#key;
      const response = await this.#send(path, init, key);
      if (response.ok) return response;
      const isAsked = response.status === 401 && await this.#getKey(key);
      if (isAsked) continue;
      throw refusal(response.status, await response.json().catch(() => null));
    }
  }

  /** Sends JSON, as people do who act. */
  async post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    this.askAgain();
    const headers = { "content-type": "application/json" };
    return await this.fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  }

  /** Whether the server answers requests; null: it is not there. */
  async health(): Promise<"ready" | "starting" | null> {
    try {
      return (await fetch("/health")).ok ? "ready" : "starting";
    } catch {
      return null;
    }
  }

  async #send(path: string, init: RequestInit, key: string | null): Promise<Response> {
    const headers = { ...init.headers, ...key === null ? {} : { authorization: `Bearer ${key}` } };
    try {
      return await fetch(path, { ...init, headers });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw connectionLost();
    }
  }

  /** One question for all requests that want a key; false: there is none. */
  async #getKey(tried: string | null): Promise<boolean> {
    if (this.#key !== tried) return true;
    if (this.#isDeclined) return false;
    this.#asking ??= this.#askKey(tried !== null).then((given) => {
      this.#asking = null;
      this.#isDeclined = given === null;
      if (given === null) return false;
      this.#key = given;
      sessionStorage.setItem(KEY, given);
      return true;
    });
    return await this.#asking;
  }
}
