/**
 * Chats as a file, out and in. A file comes from anywhere: every field is looked at, what is not
 * right is refused with words, and nothing that the page does not know is taken over.
 */
import type { Chat, ChatNode } from "../types.ts";
import { IMAGES_MAX, isImageUrl, withImages } from "./image_urls.ts";
import { isSoundUrl } from "./sound_urls.ts";

const FORMAT = "ganglion-chats";
const CHATS_MAX = 10_000;
const NODES_MAX = 100_000;
const TEXT_CHARS_MAX = 2 ** 22;
const NAME_CHARS_MAX = 512;
/** Images make chats long. So many characters are at most 192 MiB, less than is read. */
const FILE_CHARS_MAX = 2 ** 26;

/** Texts of as few files as lengths allow, at most `charsMax` each unless a chat is longer. */
export function writeChats(
  chats: readonly Chat[],
  charsMax: number = FILE_CHARS_MAX,
): readonly string[] {
  const files: string[][] = [];
  let room = 0;
  for (const chat of chats) {
    const text = JSON.stringify(chat, null, 1);
    if (text.length > room) {
      files.push([]);
      room = charsMax;
    }
    files.at(-1)!.push(text);
    room -= text.length;
  }
  return files.map((texts) =>
    `{ "format": "${FORMAT}", "version": 1, "chats": [\n${texts.join(",\n")}\n] }\n`
  );
}

/**
 * The chats of a file, with fresh ids: importing never overwrites.
 * @throws {Error} what is wrong with the file.
 */
export function readChats(text: string, freshId: () => string): readonly Chat[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error("The file is not JSON: choose one that this page has exported");
  }
  if (!isRecord(file) || file.format !== FORMAT || !Array.isArray(file.chats)) {
    throw new Error("The file holds no chats: choose one that this page has exported");
  }
  if (file.version !== 1) throw new Error("The file is of a newer version: update Ganglion");
  if (file.chats.length > CHATS_MAX) throw new Error(`The file has more than ${CHATS_MAX} chats`);
  return file.chats.map((chat, index) => readChat(chat, index, freshId));
}

function readChat(value: unknown, index: number, freshId: () => string): Chat {
  const refuse = (what: string) => new Error(`Chat ${index + 1} of the file has ${what}`);
  if (!isRecord(value) || !Array.isArray(value.nodes)) throw refuse("no messages");
  if (value.nodes.length > NODES_MAX) throw refuse(`more than ${NODES_MAX} messages`);
  const ids = new Map<string, string>();
  const nodes = value.nodes.map((node): ChatNode => {
    const read = readNode(node, ids);
    if (read === null) throw refuse("a message that is none");
    const id = freshId();
    ids.set(read.id, id);
    return { ...read, id };
  });
  const leaf = typeof value.leafId === "string" ? ids.get(value.leafId) : undefined;
  return {
    id: freshId(),
    title: textOf(value.title, NAME_CHARS_MAX) ?? "Imported chat",
    createdMs: numberOf(value.createdMs) ?? Date.now(),
    updatedMs: Math.min(numberOf(value.updatedMs) ?? Date.now(), Date.now()),
    nodes,
    leafId: leaf ?? nodes.at(-1)?.id ?? null,
  };
}

/** ids: of the messages before it, old to new. */
function readNode(value: unknown, ids: ReadonlyMap<string, string>): ChatNode | null {
  if (!isRecord(value)) return null;
  const { role, facts, ending, trouble } = value;
  const [id, content] = [textOf(value.id, NAME_CHARS_MAX), textOf(value.content, TEXT_CHARS_MAX)];
  if (id === undefined || content === undefined || ids.has(id)) return null;
  if (role !== "user" && role !== "assistant") return null;
  // A parent comes before its children: so there are no circles.
  const parentId = value.parentId === null ? null : ids.get(String(value.parentId));
  if (parentId === undefined) return null;
  const images = readImages(value.images);
  if (images === null) return null;
  const [thoughts, model] = [textOf(value.thoughts, TEXT_CHARS_MAX), textOf(value.model, 512)];
  return {
    ...{ id, parentId, role, content, ...withImages(images) },
    ...thoughts === undefined ? {} : { thoughts },
    ...model === undefined ? {} : { model },
    ...ending === "stopped" || ending === "length" ? { ending } : {},
    ...isRecord(facts) ? { facts: readFacts(facts) } : {},
    ...isRecord(trouble) ? { trouble: readTrouble(trouble) } : {},
  };
}

/** Null: there is something that is neither image nor sound, or too much. */
function readImages(images: unknown): readonly string[] | null {
  if (images === undefined) return [];
  const isOne = (each: unknown) => isImageUrl(each) || isSoundUrl(each);
  return Array.isArray(images) && images.length <= IMAGES_MAX && images.every(isOne)
    ? images
    : null;
}

function readFacts(facts: Record<string, unknown>): ChatNode["facts"] {
  const promptTokens = numberOf(facts.promptTokens);
  return {
    tokens: numberOf(facts.tokens) ?? 0,
    tokensPerSecond: numberOf(facts.tokensPerSecond) ?? 0,
    firstTokenMs: numberOf(facts.firstTokenMs) ?? 0,
    ...promptTokens === undefined ? {} : { promptTokens },
  };
}

function readTrouble({ message, cure }: Record<string, unknown>): ChatNode["trouble"] {
  return { message: textOf(message, 2000) ?? "", cure: textOf(cure, 2000) ?? "" };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown, charsMax: number): string | undefined {
  return typeof value === "string" && value.length <= charsMax ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}
