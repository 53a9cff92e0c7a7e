/**
 * How many requests work may be done for at once, and whether any is. A server beyond its bound
 * says so before it reads a body. Reading (GET) is cheap and always answered.
 */
import type { MiddlewareHandler } from "hono";
import { RequestError, shutdownError } from "../base/errors.ts";
import { counted } from "../base/units.ts";
import type { ServerEnv } from "./guards.ts";
import { errorResponse } from "./http_errors.ts";
import type { AppSettings } from "./options.ts";

export class Admission {
  #underWay = 0;
  #aside = 0;
  #idle: (() => void)[] = [];

  /** Requests that work is done for. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Those of them that need, or may soon need, a model. */
  get atWork(): number {
    return this.#underWay - this.#aside;
  }

  /** What a request does that is under way and needs no model, however long it takes. */
  async aside<T>(act: () => Promise<T>): Promise<T> {
    this.#aside++;
    try {
      return await act();
    } finally {
      this.#aside--;
    }
  }

  enter(): void {
    this.#underWay++;
  }

  leave(): void {
    this.#underWay--;
    if (this.#underWay > 0) return;
    for (const wake of this.#idle.splice(0)) wake();
  }

  /** Resolves when no request is under way. */
  async idle(): Promise<void> {
    while (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
}

/** Answers 503 to work beyond the bound, and to new work while the server leaves. */
export function admit(
  { admission, requestsMax, lifecycle }: Pick<
    AppSettings,
    "admission" | "requestsMax" | "lifecycle"
  >,
): MiddlewareHandler<ServerEnv> {
  return async (c, next) => {
    if (READING.has(c.req.method)) return await next();
    if (lifecycle.isDraining) {
      const response = errorResponse(shutdownError(), c);
      response.headers.set("connection", "close");
      return response;
    }
    if (admission.underWay >= requestsMax) return errorResponse(fullError(requestsMax), c);
    admission.enter();
    const leave = () => admission.leave();
    const sent = c.env?.completed;
    // An answer that is streamed is under way until its last byte.
    if (sent !== undefined) sent.then(leave, leave);
    try {
      await next();
    } finally {
      if (sent === undefined) leave();
    }
  };
}

const READING = new Set(["GET", "HEAD", "OPTIONS"]);

function fullError(requestsMax: number): RequestError {
  return new RequestError(
    `The server is busy (${counted(requestsMax, "request")} under way): try again later`,
    { status: 503, code: "too_many_requests_under_way", retryAfterSeconds: 1 },
  );
}
