/** Images and sounds in requests: bytes in base64, as all APIs have them. Knows no format. */
import type { z } from "zod";
import type { ChatMessage, MessageImage } from "../llm/types.ts";

/** Of a data URL, up to its comma: no more characters are looked at. */
const HEAD_CHARS_MAX = 200;
/** Of one message, and then more than a context holds. */
const IMAGES_MAX = 64;

/** Where a schema's issue is, and what it says. */
type Refuse = (message: string) => null;

/** Makes what refuses an image at `path` of what a schema reads. */
export function refusal(context: z.RefinementCtx, path: readonly PropertyKey[]): Refuse {
  return (message) => {
    context.addIssue({ code: "custom", path: [...path], message });
    return null;
  };
}

/** Bytes of a data URL; null: it was refused. Addresses are: the server asks no other host. */
export function readImageUrl(url: unknown, refuse: Refuse): Uint8Array | null {
  if (typeof url !== "string") return refuse("expected a data URL");
  // By hand: a pattern of two lists goes over a long address as often as it has characters.
  const head = url.slice(0, HEAD_CHARS_MAX);
  const comma = head.indexOf(",");
  const isData = head.startsWith("data:") && head.slice(0, comma).endsWith(";base64");
  if (comma >= 0 && isData) return readBase64(url.slice(comma + 1), refuse);
  return refuse(
    "expected the image itself, as data:image/png;base64,…: this server fetches nothing from " +
      "other hosts",
  );
}

/** Bytes of base64; null: it was refused. */
export function readBase64(
  text: unknown,
  refuse: Refuse,
  what = "an image",
): Uint8Array | null {
  if (typeof text !== "string" || text === "") return refuse(`expected ${what} in base64`);
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return refuse(`expected ${what} in base64: this is none`);
  }
}

/** Text, images and sounds of a message, in the order in which they came. */
export class MessageContent {
  readonly #refuse: Refuse | undefined;
  readonly #images: MessageImage[] = [];
  #text = "";

  /** refuse: told of too many images; left out: as many as there are. */
  constructor(refuse?: Refuse) {
    this.#refuse = refuse;
  }

  addText(text: string): void {
    this.#text += text.toWellFormed();
  }

  /** Null is not added: it was refused. */
  addImage(file: Uint8Array | null, kind?: MessageImage["kind"]): void {
    if (file === null) return;
    if (this.#refuse !== undefined && this.#images.length === IMAGES_MAX) {
      this.#refuse(`a message has ${IMAGES_MAX} images and sounds at most`);
    } else this.#images.push({ at: this.#text.length, file, ...kind && { kind } });
  }

  /** As `ChatMessage` has them. */
  get fields(): ContentFields {
    if (this.#images.length === 0) return { content: this.#text };
    return { content: this.#text, images: this.#images };
  }
}

/** Of `ChatMessage`: `images` only where there are some. */
export type ContentFields = Pick<ChatMessage, "content" | "images">;

/** A message's text between two others; its images stay where they are in it. */
export function enclosed(
  before: string,
  { content, images }: ContentFields,
  behind: string,
): ContentFields {
  return {
    content: before + content + behind,
    ...(images && { images: images.map((each) => ({ ...each, at: each.at + before.length })) }),
  };
}
