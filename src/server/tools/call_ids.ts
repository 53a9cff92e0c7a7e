/**
 * What calls and their results are called in a conversation, as templates insist on it: all have
 * an id, of as many letters and digits as the template counts. Pure.
 */
import type { ChatMessage } from "../../llm/types.ts";
import type { CallFormat } from "./call_format.ts";

/** `messages` with ids that the template takes. */
export function withCallIds(
  messages: readonly ChatMessage[],
  { idChars, knowsIds }: Pick<CallFormat, "idChars" | "knowsIds">,
): readonly ChatMessage[] {
  if (!knowsIds) return messages;
  const ids = new Ids(messages, idChars);
  /** Of calls that have no result yet. */
  let open: string[] = [];
  return messages.map((message) => {
    const { role, tool_calls: calls, tool_call_id: of } = message;
    if (Array.isArray(calls)) {
      const named = calls.map((call) => ({ ...call, id: ids.idOf(call.id) }));
      open = named.map(({ id }) => id);
      return { ...message, tool_calls: named };
    }
    if (role !== "tool") return message;
    // A result without an id is that of the first call that has none.
    const id = typeof of === "string" ? ids.idOf(of) : open[0] ?? ids.idOf(undefined);
    open = open.filter((each) => each !== id);
    return { ...message, tool_call_id: id };
  });
}

class Ids {
  readonly #chars: number | null;
  readonly #used: ReadonlySet<unknown>;
  /** Of ids that the template does not take, what they are called instead. */
  readonly #names = new Map<string, string>();
  #count = 0;

  constructor(messages: readonly ChatMessage[], chars: number | null) {
    this.#chars = chars;
    this.#used = new Set(
      messages.flatMap(({ tool_calls: calls }) =>
        Array.isArray(calls) ? calls.map(({ id }) => id) : []
      ),
    );
  }

  idOf(id: unknown): string {
    if (typeof id !== "string") return this.#next();
    if (this.#chars === null || id.length === this.#chars && /^[A-Za-z0-9]+$/.test(id)) return id;
    const name = this.#names.get(id) ?? this.#next();
    this.#names.set(id, name);
    return name;
  }

  /** The same in every request of a conversation, so that its prefix stays the same. */
  #next(): string {
    for (;;) {
      const id = `c${`${this.#count++}`.padStart((this.#chars ?? 9) - 1, "0")}`;
      if (!this.#used.has(id)) return id;
    }
  }
}

/** An id for a new call: Mistral's templates insist on nine letters and digits. */
export function newCallId({ idChars }: CallFormat): string {
  const id = crypto.randomUUID().replaceAll("-", "");
  return idChars === null ? `call_${id.slice(0, 24)}` : id.slice(0, idChars);
}
