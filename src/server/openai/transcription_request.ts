/**
 * The forms of `/v1/audio/transcriptions` and `/v1/audio/translations`, and what a model is told:
 * the sound alone where its vocabulary has a mark for that, else words.
 */
import { z } from "zod";
import { type Body, withOthers } from "../known_fields.ts";
import { harmless, optional } from "../parse_fields.ts";

export type SoundTask = "transcribe" | "translate";

const FORMATS = ["json", "text"] as const;

const fields = {
  model: optional(z.string().max(1000)),
  prompt: optional(z.string()),
  response_format: optional(z.enum(FORMATS, {
    error: 'expected "json" or "text": models that hear do not tell when something was said',
  })),
  temperature: optional(z.number().min(0).max(1)),
};

const unsupported = {
  include: harmless.never,
  timestamp_granularities: harmless.never,
  known_speaker_names: harmless.never,
  known_speaker_references: harmless.never,
  // How long sounds are cut is for this server to say, as that asks.
  chunking_strategy: harmless.isOneOf("auto"),
};

/** Without the file. */
export const transcriptionSchema = withOthers(
  z.object({
    ...fields,
    language: optional(
      z.string().regex(/^[a-z]{2,3}(-[A-Za-z]{2,4})?$/, 'expected a code such as "en"'),
    ),
    stream: optional(z.boolean()),
  }),
  { unsupported },
);

export const translationSchema = withOthers(z.object(fields), {
  unsupported: { ...unsupported, stream: harmless.isOneOf(false) },
});

export type TranscriptionFields = Partial<z.output<typeof transcriptionSchema>>;

/** A form's fields as values of JSON: all of them come as text. Empty ones ask for nothing. */
export function formValues(written: ReadonlyMap<string, string>): Body {
  const valueOf = (name: string, text: string) => {
    if (name === "temperature") return Number(text);
    return name === "stream" && (text === "true" || text === "false") ? text === "true" : text;
  };
  return Object.fromEntries(
    [...written].filter(([, text]) => text !== "").map(([name, text]) => [
      name,
      valueOf(name, text),
    ]),
  );
}

/** What a model is told beside the sound. */
export interface Telling {
  /** The message's text, behind the sound. */
  readonly text: string;
  /** What the answer begins behind: a text, and a control token. */
  readonly opening?: { readonly text: string; readonly mark: string };
}

/** Voxtral's: it writes down what it heard, and nothing else. */
export const TRANSCRIBE_MARK = "[TRANSCRIBE]";

/**
 * The words for it.
 * @param hasMark the model knows `TRANSCRIBE_MARK`. With it there is no place for a prompt, which
 *   is given in words then.
 */
export function tellingOf(
  task: SoundTask,
  { prompt, language }: Pick<TranscriptionFields, "prompt" | "language">,
  hasMark: boolean,
): Telling {
  if (task === "transcribe" && hasMark && prompt === undefined) {
    // As its authors' mistral-common writes it: behind the end of the user's turn.
    const text = language === undefined ? "" : `lang:${language}`;
    return { text: "", opening: { text, mark: TRANSCRIBE_MARK } };
  }
  const spoken = language === undefined ? "" : ` It is in ${nameOf(language)}.`;
  const hint = prompt === undefined
    ? ""
    : ` Names, words and style may be as in this text: ${prompt.toWellFormed()}`;
  const told = task === "transcribe"
    ? `Write down what is said in this recording, word for word, in the language that it is in.` +
      `${spoken} Answer with these words and nothing else.`
    : "Translate what is said in this recording into English. Answer with the translation and " +
      "nothing else.";
  return { text: told + hint };
}

/** A language's name in English, or its code. */
function nameOf(code: string): string {
  return new Intl.DisplayNames(["en"], { type: "language" }).of(code) ?? code;
}
