/**
 * A conversation on the terminal: one line in, one streamed answer out. Works on lines and
 * messages; knows nothing of flags.
 */
import type {
  ChatMessage,
  GenerateRequest,
  GenerateResult,
  Generation,
  LanguageModel,
} from "../llm/mod.ts";
import { Interrupt } from "./interrupt.ts";
import { writeError, writeErrorLine, writeOut } from "./output.ts";

export interface ChatSettings {
  /** Instructions that stand before the conversation, or null. */
  readonly system: string | null;
  /** What every answer shares: limits and sampling. */
  readonly request: Omit<GenerateRequest, "ids" | "signal">;
}

const HELP = "A line is a message. /clear forgets the conversation, /bye (or Ctrl-D) ends it; " +
  "Ctrl-C stops an answer.";

/** Talks until the input ends or says /bye. */
export async function chat(model: LanguageModel, settings: ChatSettings): Promise<void> {
  const isTerminal = Deno.stdin.isTerminal();
  const opening: ChatMessage[] = settings.system === null
    ? []
    : [{ role: "system", content: settings.system }];
  let messages = [...opening];
  if (isTerminal) writeErrorLine(`${model.id}. ${HELP}`);
  const prompt = () => isTerminal && writeError("> ");
  prompt();
  for await (const line of readLines(Deno.stdin.readable)) {
    const content = line.trim();
    if (content === "/bye") break;
    if (content === "/clear") messages = [...opening];
    else if (content === "/help") writeErrorLine(HELP);
    else if (content !== "") {
      messages.push({ role: "user", content });
      const answer = await answerTurn(model, { messages, settings });
      messages.push({ role: "assistant", content: answer });
    }
    prompt();
  }
}

/** Streams one answer; Ctrl-C ends the answer, not the conversation. */
async function answerTurn(
  model: LanguageModel,
  { messages, settings }: { messages: readonly ChatMessage[]; settings: ChatSettings },
): Promise<string> {
  using interrupt = new Interrupt();
  const ids = model.encodeChat(messages);
  const generation = model.generate({ ...settings.request, ids, signal: interrupt.signal });
  return (await streamAnswer(generation)).text;
}

/** Writes an answer to stdout as it comes, and a line end behind it. */
export async function streamAnswer(generation: Generation): Promise<GenerateResult> {
  for await (const { text } of generation) writeOut(text);
  writeOut("\n");
  return await generation.result;
}

async function* readLines(input: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of input.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split(/\r?\n/);
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
