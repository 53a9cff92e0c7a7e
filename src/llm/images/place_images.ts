/**
 * Images and sounds of a conversation, on their way through a chat template: each is a mark in the
 * text that no client can know, and ids in its place afterwards. Works on texts; knows nothing of
 * pixels.
 */
import { RequestError } from "../../base/errors.ts";
import { appendSteps, type Steps } from "../../base/steps.ts";
import type { ChatMessage, MessageImage, SeenImages } from "../types.ts";

/** A rendered conversation: texts, and between any two of them the image of that number. */
export interface PlacedImages {
  /** One more than there are places. */
  readonly texts: readonly string[];
  /** By place: which image, in the order of the messages. */
  readonly images: readonly number[];
}

/** How many images messages have. */
export function countImages(messages: readonly ChatMessage[]): number {
  return messages.reduce((sum, { images = [] }) => sum + images.length, 0);
}

/**
 * Renders messages with a mark where each image stands.
 * @throws {RequestError} 400 when the template leaves one out.
 */
export function renderWithImages(
  messages: readonly ChatMessage[],
  render: (messages: readonly ChatMessage[]) => string,
): PlacedImages {
  // Nobody who writes a message knows the number.
  const name = crypto.randomUUID();
  const markOf = (index: number) => `[image ${name} ${index}]`;
  let count = 0;
  const text = render(messages.map((message) => {
    const { images, ...marked } = message;
    if (images === undefined) return message;
    let content = "", from = 0;
    for (const { at } of images) {
      content += message.content.slice(from, at) + markOf(count++);
      from = at;
    }
    return { ...marked, content: content + message.content.slice(from) } as ChatMessage;
  }));
  const parts = text.split(new RegExp(`\\[image ${name} (\\d+)\\]`));
  const placed = {
    texts: parts.filter((_, index) => index % 2 === 0),
    images: parts.filter((_, index) => index % 2 === 1).map(Number),
  };
  const left = Array.from({ length: count }, (_, index) => index)
    .find((index) => !placed.images.includes(index));
  if (left === undefined) return placed;
  const sent = messages.flatMap(({ images = [] }) => images);
  const what = sent[left].kind ?? "image";
  throw new RequestError(
    `Cannot render the messages with the model's chat template: it leaves out ${what} ` +
      `${left + 1} of ${count}: put them into messages of users`,
    { status: 400, code: "chat_template_error", param: "messages" },
  );
}

/** Ids of a conversation: those of its texts, and of its images between them. */
export function* idsWithImages(
  { texts, images }: PlacedImages,
  seen: SeenImages,
  encode: (text: string) => Steps<number[]>,
): Steps<number[]> {
  const ids: number[] = [];
  for (const [index, text] of texts.entries()) {
    if (text !== "") yield* appendSteps(yield* encode(text), ids);
    if (index < images.length) yield* appendSteps(seen.ids[images[index]], ids);
  }
  return ids;
}

/** What a model without eyes is not asked, or one without ears. */
export function notRead(kind: MessageImage["kind"]): RequestError {
  const what = kind === "sound" ? "hears no sounds" : "reads no images";
  return new RequestError(
    `This model ${what}: leave them out, or serve a model that does with its projector ` +
      "(`--mmproj FILE`)",
    {
      ...{ status: 400, param: "messages" },
      code: kind === "sound" ? "audio_not_supported" : "images_not_supported",
    },
  );
}

/** The same of the first one that messages have. */
export function noImages(messages: readonly ChatMessage[]): RequestError {
  return notRead(messages.flatMap(({ images = [] }) => images)[0]?.kind);
}
