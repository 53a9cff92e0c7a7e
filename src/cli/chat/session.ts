/**
 * A conversation on the terminal: a message in, a streamed answer out. Works on lines and messages;
 * knows nothing of flags.
 */
import { RequestError, UsageError } from "../../base/errors.ts";
import type { ChatMessage, LanguageModel } from "../../llm/mod.ts";
import { Interrupt } from "../interrupt.ts";
import { writeErrorLine } from "../output.ts";
import { answerParser, describeSpeed, streamAnswer } from "./answer.ts";
import type { ChatState } from "./chat_state.ts";
import { completeLine, isCommand, isKnownCommand, type NextStep, runCommand } from "./commands.ts";
import type { History } from "./history.ts";
import { type LineSource, PipedLines, TerminalLines } from "./line_source.ts";
import { readMessage } from "./read_message.ts";

/** Talks until the input ends or says /bye. */
export async function chat(
  model: LanguageModel,
  state: ChatState,
  history: History,
): Promise<void> {
  using source = Deno.stdin.isTerminal()
    ? new TerminalLines({ history: history.read(), complete: completeLine })
    : new PipedLines(Deno.stdin.readable);
  if (source.isTerminal) writeErrorLine(`${model.id}: /help says what there is, /bye leaves.`);
  for (;;) {
    const message = await readMessage(source);
    if (message === null) return;
    if (message.trim() === "") continue;
    if (source.isTerminal) history.add(message);
    const step = takeIn(message, { model, state, source });
    if (step === "leave") return;
    if (step === "answer") await answer(model, { state, source });
  }
}

/** Does what a message says, or takes it into the conversation. */
function takeIn(
  message: string,
  { model, state, source }: { model: LanguageModel; state: ChatState; source: LineSource },
): NextStep {
  const content = message.trim();
  // A program that writes into a pipe may begin lines as it likes.
  if (!isCommand(content) || !source.isTerminal && !isKnownCommand(content)) {
    state.messages.push({ role: "user", content });
    return "answer";
  }
  const context = { state, modelId: model.id, tell: writeErrorLine };
  try {
    return runCommand(content, { ...context, describeModel: () => describeModel(model, state) });
  } catch (error) {
    tellOrThrow(error, source);
    return "read";
  }
}

/** Streams an answer; Ctrl-C ends it, not the conversation. */
async function answer(
  model: LanguageModel,
  { state, source }: { state: ChatState; source: LineSource },
): Promise<void> {
  using interrupt = new Interrupt();
  const { sampling, maxTokens, verbose } = state;
  try {
    const ids = model.encodeChat(conversation(state));
    const { signal } = interrupt;
    const generation = model.generate({ ids, sampling, maxTokens, signal });
    const result = await streamAnswer(generation, answerParser(model));
    state.messages.push({ role: "assistant", content: result.text });
    if (verbose) writeErrorLine(describeSpeed(result));
  } catch (error) {
    // It would stand in the way of the next one.
    state.messages.pop();
    tellOrThrow(error, source);
  }
}

/** On a terminal the conversation goes on; in a pipe nobody would read it. */
function tellOrThrow(error: unknown, { isTerminal }: LineSource): void {
  const isTold = error instanceof UsageError || error instanceof RequestError ||
    error instanceof Error && error.message.startsWith("Cannot ");
  if (!isTerminal || !isTold) throw error;
  const isFull = error instanceof RequestError && error.code === "context_length_exceeded";
  writeErrorLine(isFull ? `${error.message}; /clear forgets the conversation` : error.message);
}

function conversation({ system, messages }: ChatState): ChatMessage[] {
  return system === null ? messages : [{ role: "system", content: system }, ...messages];
}

function describeModel(model: LanguageModel, state: ChatState): string[] {
  const { messages } = state;
  const tokens = messages.length === 0 ? 0 : model.encodeChat(conversation(state)).length;
  return [
    `model ${model.id}`,
    `conversation ${messages.length} messages, ${tokens} of ${model.contextLength} tokens`,
  ];
}
