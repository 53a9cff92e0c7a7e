/** `/completion` and `/infill`, as llama.cpp's server has them: editors ask it for code. */
import type { Context } from "hono";
import type { z } from "zod";
import { mapSteps, type Steps } from "../../base/steps.ts";
import type { LanguageModel, TokenLogprobs } from "../../llm/types.ts";
import {
  answerStream,
  madeInTurns,
  readWork,
  whileWanted,
  withModel,
  type Work,
} from "../answers/answer.ts";
import { type Ask, type ChoiceEvent, startChoices } from "../answers/choices.ts";
import { surroundedGapIds } from "../answers/gap_prompt.ts";
import type { ServerEnv } from "../guards.ts";
import { checkBias } from "../openai/reply.ts";
import { EVENT_STREAM } from "../openai/wire.ts";
import type { AppSettings } from "../options.ts";
import { withPrefixKey } from "../prefix_key.ts";
import { type AnswerFields, completionSchema, infillSchema, toAsked } from "./completion_fields.ts";
import { chosenFields, endOnWire, type NativeEnd, pieceOnWire } from "./completion_wire.ts";
import { LineWatch } from "./line_watch.ts";

/** Continues prompts; marks of the model's template in them are marks. */
export async function completion(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const fields = await readWork(c, settings, completionSchema);
  return await withModel(c, settings, { id: fields.model }, async (work) => {
    const { model } = work.lease;
    const how = { special: true, bos: true, mustFit: true };
    const steps = mapSteps(fields.prompt, function* (prompt): Steps<readonly number[]> {
      return "ids" in prompt ? prompt.ids : yield* model.inSteps.text(prompt.text, how);
    });
    return await reply(work, fields, await madeInTurns(work, steps));
  });
}

/** Of the context, what an answer may take whose length is not said. */
const ANSWER_SHARE = 1 / 4;

/** Fills the gap at an editor's cursor. */
export async function infill(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const fields = await readWork(c, settings, infillSchema);
  return await withModel(c, settings, { id: fields.model }, async (work) => {
    const { model } = work.lease;
    const { n_predict: count = -1 } = fields;
    const most = Math.floor(model.contextLength * ANSWER_SHARE);
    const answerTokens = count < 0 ? most : Math.max(1, Math.min(count, most));
    const tokensMax = model.contextLength - answerTokens;
    const steps = surroundedGapIds(model, toSurroundings(fields), tokensMax);
    return await reply(work, fields, [await madeInTurns(work, steps)]);
  });
}

function toSurroundings(fields: z.output<typeof infillSchema>) {
  const { input_prefix: before, input_suffix: after, input_extra: files = [], prompt } = fields;
  return {
    before: before.toWellFormed(),
    after: after.toWellFormed(),
    files: files.map(({ filename, text }) => ({
      name: filename?.toWellFormed() || "tmp",
      text: text.toWellFormed(),
    })),
    begun: (prompt ?? "").toWellFormed(),
  };
}

async function reply(
  work: Work,
  fields: AnswerFields,
  prompts: readonly (readonly number[])[],
): Promise<Response> {
  const { model } = work.lease;
  const end = new AbortController();
  const { request, ...asked } = toAsked(fields);
  const ask: Ask = {
    ...asked,
    request: { ...request, endSignal: end.signal },
    prompts: prompts.map((ids) => ({ ids, echo: "" })),
    count: 1,
  };
  checkBias(model, ask);
  const answers = prompts.map((_, index) => new OpenAnswer(index, fields));
  const onWire = (of: NativeEnd) => chosenFields(endOnWire(model, of), fields.response_fields);
  /** Pieces as they come; the end of an answer brings what it has not sent. */
  const read = async function* (choices: AsyncIterable<ChoiceEvent>) {
    for await (const event of choices) {
      const answer = answers[event.index];
      if (event.kind === "piece") answer.push(event);
      if (answers.every(({ isEnded }) => isEnded)) end.abort();
      yield event.kind === "end" ? answer.end(event) : answer;
    }
  };
  const start = (signal: AbortSignal) => read(startChoices(work, ask, signal));
  const response = fields.stream
    ? answerStream(work, EVENT_STREAM, (signal) => events(model, start(signal), onWire))
    : await whileWanted(work, async (signal) => {
      const ends: NativeEnd[] = [];
      for await (const each of start(signal)) {
        if (!(each instanceof OpenAnswer)) ends[each.index] = each;
      }
      return Response.json(ends.length === 1 ? onWire(ends[0]) : ends.map(onWire));
    });
  return withPrefixKey(response, work.request, ask.prompts[0]);
}

async function* events(
  model: LanguageModel,
  answers: AsyncIterable<OpenAnswer | NativeEnd>,
  onWire: (end: NativeEnd) => object,
) {
  const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
  for await (const each of answers) {
    if (!(each instanceof OpenAnswer)) yield event(onWire(each));
    else if (each.hasNews) yield event(pieceOnWire(model, each.take()));
  }
}

/** An answer while it comes. */
class OpenAnswer {
  readonly #index: number;
  readonly #watch: LineWatch;
  readonly #fields: AnswerFields;
  /** What has not been taken. */
  #text = "";
  #ids: number[] = [];
  #logprobs: TokenLogprobs[] = [];
  /** Of all ids that came. */
  #idCount = 0;

  constructor(index: number, fields: AnswerFields) {
    const { n_indent: indentMin, t_max_predict_ms: ms = -1 } = fields;
    this.#index = index;
    this.#watch = new LineWatch({ indentMin, msMax: ms > 0 ? ms : Infinity });
    this.#fields = fields;
  }

  /** Whether nothing that comes belongs to it. */
  get isEnded(): boolean {
    return this.#watch.isEnded;
  }

  get hasNews(): boolean {
    return this.#text !== "" || this.#logprobs.length > 0;
  }

  push({ deltas, logprobs, ids }: ChoiceEvent & { readonly kind: "piece" }): void {
    if (this.isEnded) return;
    for (const { text } of deltas.filter((delta) => delta.kind === "text")) {
      this.#text += this.#watch.push(text);
    }
    for (const id of ids) this.#ids.push(id);
    this.#idCount += ids.length;
    this.#logprobs.push(...logprobs);
  }

  /** What came since it was taken last. */
  take() {
    const news = {
      ...{ index: this.#index, text: this.#text },
      ...{ ids: this.#ids, logprobs: this.#logprobs },
    };
    [this.#text, this.#ids, this.#logprobs] = ["", [], []];
    return news;
  }

  end({ result }: ChoiceEvent & { readonly kind: "end" }): NativeEnd {
    const { return_tokens: hasIds = false, stream = false } = this.#fields;
    const { isEnded: isCut, hasLine } = this.#watch;
    const news = this.take();
    // Those without a text, or of one that ends the answer. What came too late is none of it.
    const rest = isCut ? [] : result.ids.slice(this.#idCount);
    const ids = hasIds || stream ? [...news.ids, ...rest] : [];
    return { ...news, ids, isCut, hasLine, result };
  }
}
