/**
 * Asks a model the held-out questions, greedily, and grades the answers:
 * `deno task builtin:evaluate [--model FILE] [--questions FILE] [--dense] [--all]`.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type LoadedModel, loadModel } from "../../src/llm/mod.ts";
import { isRight, type Question, readQuestions } from "./grade.ts";

/** A question and what the model made of it. */
export interface Graded {
  readonly question: Question;
  readonly answer: string;
  readonly isRight: boolean;
}

/** What the questions' answers took in all. */
export interface Evaluation {
  readonly graded: readonly Graded[];
  /** Share of feed-forward neurons that decoding skipped. */
  readonly skippedShare: number;
}

const ANSWER_TOKENS_MAX = 120;

/** Answers every question in a conversation of its own. */
export async function evaluate(
  model: LoadedModel,
  questions: readonly Question[],
): Promise<Evaluation> {
  const graded: Graded[] = [];
  let skipped = 0;
  let decoded = 0;
  for (const question of questions) {
    const ids = model.encodeChat([{ role: "user", content: question.text }]);
    const { text, timings } = await model.generate({
      ids,
      maxTokens: ANSWER_TOKENS_MAX,
      sampling: { temperature: 0 },
    }).result;
    graded.push({ question, answer: text, isRight: isRight(text, question) });
    skipped += timings.skippedNeurons ?? 0;
    decoded += timings.predictedTokens - 1;
  }
  const neurons = model.config.blockCount * model.config.feedForwardLength;
  return { graded, skippedShare: skipped / (decoded * neurons) };
}

/** The held-out questions of this folder. */
export function heldOutQuestions(): Question[] {
  return questionsOf("questions.txt");
}

/** Those of what servers and requests do, which came later and are counted apart. */
export function serviceQuestions(): Question[] {
  return questionsOf("service.txt");
}

function questionsOf(file: string): Question[] {
  return readQuestions(Deno.readTextFileSync(new URL(file, import.meta.url)));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      questions: { type: "string" },
      dense: { type: "boolean", default: false },
      all: { type: "boolean", default: false },
    },
  });
  const path = values.model ?? fileURLToPath(new URL("../model.gguf", import.meta.url));
  const questions = values.questions
    ? readQuestions(Deno.readTextFileSync(values.questions))
    : heldOutQuestions();
  const model = await loadModel(path, { sparse: !values.dense });
  const { graded, skippedShare } = await evaluate(model, questions);
  for (const { question, answer, isRight } of graded) {
    if (values.all || !isRight) console.log(`${isRight ? "right" : "WRONG"}  ${question.text}`);
    if (values.all || !isRight) console.log(`       ${answer}`);
  }
  const right = graded.filter(({ isRight }) => isRight).length;
  const skipped = (100 * skippedShare).toFixed(1);
  console.log(`${right} of ${graded.length} right; ${skipped} % of the neurons skipped`);
  await model.close();
}
