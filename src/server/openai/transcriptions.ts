/** `/v1/audio/transcriptions` and `/v1/audio/translations`: a sound in a form to what is said. */
import type { Context } from "hono";
import { z } from "zod";
import type { LanguageModel } from "../../llm/types.ts";
import { RequestError } from "../../base/errors.ts";
import {
  answerStream,
  requireReady,
  whileWanted,
  withModel,
  type Work,
} from "../answers/answer.ts";
import { type Ask, type ChoiceEvent, startChoices } from "../answers/choices.ts";
import { namedEvent } from "../answers/event_stream.ts";
import type { ServerEnv } from "../guards.ts";
import type { AppSettings } from "../options.ts";
import { readFormFields } from "../read_fields.ts";
import type { Route } from "../route.ts";
import { readSoundForm } from "../sound_form.ts";
import { controlsOf } from "../tools/call_format.ts";
import { withEffort } from "./chat_request.ts";
import { chatAsk } from "./handlers.ts";
import {
  formValues,
  type SoundTask,
  tellingOf,
  TRANSCRIBE_MARK,
  type TranscriptionFields,
  transcriptionSchema,
  translationSchema,
} from "./transcription_request.ts";
import { EVENT_STREAM } from "./wire.ts";

const file = z.file();

export const TRANSCRIPTION_ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/v1/audio/transcriptions",
    handle: (c, settings) => answer(c, settings, "transcribe"),
    summary: "What is said in a sound, by a model that hears",
    form: transcriptionSchema.extend({ file }),
    stream: "text/event-stream",
  },
  {
    method: "POST",
    path: "/v1/audio/translations",
    handle: (c, settings) => answer(c, settings, "translate"),
    summary: "What is said in a sound, in English",
    form: translationSchema.extend({ file }),
  },
];

async function answer(
  c: Context<ServerEnv>,
  settings: AppSettings,
  task: SoundTask,
): Promise<Response> {
  requireReady(settings);
  const form = await readSoundForm(c.req.raw, settings);
  const schema = task === "transcribe" ? transcriptionSchema : translationSchema;
  const body = formValues(form.fields);
  const fields: TranscriptionFields = readFormFields(c, settings, { schema, body });
  return await withModel(c, settings, { id: fields.model }, async (work) => {
    const ask = await soundAsk(work, { file: form.file, task, fields });
    return await (fields.stream ? stream(work, ask) : whole(work, ask, fields));
  });
}

/** @throws {RequestError} 400 when the model does not hear, or the sound cannot be heard. */
async function soundAsk(
  work: Work,
  { file, task, fields }: {
    readonly file: Uint8Array;
    readonly task: SoundTask;
    readonly fields: TranscriptionFields;
  },
): Promise<Ask> {
  const { model } = work.lease;
  const hasMark = controlsOf(model, [TRANSCRIBE_MARK]).size > 0;
  const { text, opening } = tellingOf(task, fields, hasMark);
  const images = [{ at: 0, file, kind: "sound" as const }];
  const messages = [{ role: "user", content: text, images }];
  const variables = withEffort(undefined, "none");
  const { temperature = 0 } = fields;
  try {
    const asked = await chatAsk(work, {
      conversation: { messages, tools: null, variables },
      ...{ format: {}, request: { sampling: { temperature } } },
    });
    const ids = [...asked.prompts[0].ids, ...opening === undefined ? [] : idsOf(model, opening)];
    return { ...asked, prompts: [{ ids, echo: "" }], count: 1 };
  } catch (error) {
    throw ofFile(error);
  }
}

function idsOf(model: LanguageModel, { text, mark }: { text: string; mark: string }): number[] {
  const written = text === "" ? [] : model.encodeText(text);
  return [...written, ...model.encodeText(mark, { special: true })];
}

/** Whoever looks at messages does not know that there are none. */
function ofFile(error: unknown): unknown {
  if (!(error instanceof RequestError) || error.param !== "messages") return error;
  const { message, status, type, code, tokens } = error;
  return new RequestError(message, { status, type, code, param: "file", tokens });
}

async function whole(
  work: Work,
  ask: Ask,
  { response_format: format = "json" }: TranscriptionFields,
): Promise<Response> {
  const done = await whileWanted(work, async (signal) => {
    let last: TranscriptEvent | undefined;
    for await (const event of transcript(startChoices(work, ask, signal), ask)) last = event;
    return last as DoneEvent;
  });
  const { text, usage } = done;
  if (format === "json") return Response.json({ text, usage });
  return new Response(`${text}\n`, { headers: { "content-type": "text/plain; charset=utf-8" } });
}

function stream(work: Work, ask: Ask): Response {
  return answerStream(
    work,
    EVENT_STREAM,
    (signal) => lines(transcript(startChoices(work, ask, signal), ask)),
  );
}

async function* lines(events: AsyncIterable<TranscriptEvent>): AsyncGenerator<string> {
  for await (const event of events) yield namedEvent(event.type, event);
}

interface DeltaEvent {
  readonly type: "transcript.text.delta";
  readonly delta: string;
}

interface DoneEvent {
  readonly type: "transcript.text.done";
  /** All deltas. */
  readonly text: string;
  readonly usage: ReturnType<typeof usageOf>;
}

type TranscriptEvent = DeltaEvent | DoneEvent;

/**
 * The text, without spaces before and behind it.
 * @throws {RequestError} 400 when there is no room for all of it: half of what was said is no
 *   transcript, and its form has no word for that.
 */
async function* transcript(
  events: AsyncIterable<ChoiceEvent>,
  { prompts: [{ ids }] }: Ask,
): AsyncGenerator<TranscriptEvent> {
  let text = "", held = "";
  for await (const event of events) {
    if (event.kind === "end") {
      if (event.finish === "length") throw tooLong();
      const usage = usageOf(ids, event.result.ids.length);
      yield { type: "transcript.text.done", text, usage };
      return;
    }
    for (const each of event.deltas) {
      if (each.kind !== "text") continue;
      held += each.text;
      const ended = text === "" ? held.trim() : held.trimEnd();
      if (ended === "") continue;
      held = held.slice(held.trimEnd().length);
      text += ended;
      yield { type: "transcript.text.delta", delta: ended };
    }
  }
}

function tooLong(): RequestError {
  return new RequestError(
    "Cannot write down all that is said: the context is full: send a shorter sound, or start the " +
      "server with a larger --ctx-size",
    { status: 400, code: "context_length_exceeded", param: "file" },
  );
}

/** As OpenAI counts it; ids below 0 are rows of the sound. */
function usageOf(ids: readonly number[], outputTokens: number) {
  const audio = ids.reduce((count, id) => count + (id < 0 ? 1 : 0), 0);
  return {
    type: "tokens",
    input_tokens: ids.length,
    output_tokens: outputTokens,
    total_tokens: ids.length + outputTokens,
    input_token_details: { audio_tokens: audio, text_tokens: ids.length - audio },
  };
}
