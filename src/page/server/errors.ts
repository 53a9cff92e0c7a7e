/** What can go wrong between page and server, in words for people: what, and what helps. */
import type { Trouble } from "../types.ts";

/** An error that the page shows as it is. */
export class PageError extends Error {
  readonly cure: string;

  constructor(message: string, cure: string) {
    super(message);
    this.name = "PageError";
    this.cure = cure;
  }
}

/** What an error says to people. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof PageError) return { message: error.message, cure: error.cure };
  return { message: error instanceof Error ? error.message : String(error), cure: "Try again." };
}

export function connectionLost(): PageError {
  return new PageError(
    "The server does not answer.",
    "Is it still running? Start it again, then choose Try again: this chat is kept here.",
  );
}

export function answerLost(): PageError {
  return new PageError(
    "The connection was lost before the answer ended.",
    "What has come is kept. Choose Try again for a whole answer.",
  );
}

/** What a refused request says; `body` is the error object of the API, or whatever came. */
export function refusal(status: number, body: unknown): PageError {
  const { message, code } = errorOf(body);
  const said = message === "" ? `The server answered with status ${status}.` : sentence(message);
  return new PageError(said, CURES[code] ?? cureOf(status));
}

/** An error that came in the middle of an answer. */
export function failure(body: unknown): PageError {
  const { message, code } = errorOf(body);
  const said = message === "" ? "The answer failed." : sentence(message);
  return new PageError(said, CURES[code] ?? "What has come is kept. Choose Try again.");
}

const KEY_CURE = "Choose Try again, and give the key that the server was started with.";

const CURES: Readonly<Record<string, string>> = {
  context_length_exceeded:
    "Begin a new chat, edit an earlier message, or start the server with a larger --ctx-size.",
  images_not_supported:
    "Choose another model at the top, or edit the messages that have images and remove them.",
  audio_not_supported:
    "Choose another model at the top, or edit the messages that have sounds and remove them.",
  body_too_large:
    "Begin a new chat, or edit earlier messages and remove some of their images or sounds.",
  missing_api_key: KEY_CURE,
  invalid_api_key: KEY_CURE,
  model_not_found: "Choose another model at the top.",
  model_load_failed: "Choose another model at the top, or see the server's log.",
  queue_full: "Others are being answered. Wait a moment, then choose Try again.",
  too_many_requests_under_way: "Others are being answered. Wait a moment, then choose Try again.",
  shutting_down: "The server is leaving. Choose Try again when it is back.",
  engine_failed: "The server starts its engine anew. Choose Try again in a moment.",
  host_not_allowed: "Open the page by localhost or an address, or see --allow-hosts.",
};

function cureOf(status: number): string {
  if (status === 503) return "The server is busy. Wait a moment, then choose Try again.";
  if (status === 504) return "The answer took longer than the server allows. Ask for less.";
  if (status >= 500) return "See the server's log, then choose Try again.";
  return "Change what the message names in Settings, or the message, and try again.";
}

function errorOf(body: unknown): { message: string; code: string } {
  const { error } = (body ?? {}) as { error?: { message?: unknown; code?: unknown } };
  const message = typeof error?.message === "string" ? error.message.slice(0, 1000) : "";
  return { message, code: typeof error?.code === "string" ? error.code : "" };
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
