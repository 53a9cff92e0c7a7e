import { assertEquals, assertThrows } from "@std/assert";
import type { ChatState } from "../../../src/cli/chat/chat_state.ts";
import { completeLine, isCommand, runCommand } from "../../../src/cli/chat/commands.ts";
import { harmless } from "../../../src/cli/chat/answer.ts";
import { History } from "../../../src/cli/chat/history.ts";
import { PipedLines } from "../../../src/cli/chat/line_source.ts";
import { readMessage } from "../../../src/cli/chat/read_message.ts";

function chatState(): ChatState {
  return { system: null, messages: [], sampling: {}, maxTokens: undefined, verbose: false };
}

function run(line: string, state: ChatState) {
  const told: string[] = [];
  const tell = (text: string) => void told.push(text);
  const next = runCommand(line, { state, modelId: "m", describeModel: () => ["model m"], tell });
  return { next, told: told.join("\n") };
}

Deno.test("runCommand() sets, shows and takes back what an answer depends on", () => {
  const state = chatState();
  run("/set temperature 0.5", state);
  run("/set TOP_K 3", state);
  run('/set system "Be brief."', state);
  run("/set max-tokens 9", state);
  assertEquals([state.sampling, state.system, state.maxTokens], [
    { temperature: 0.5, topK: 3 },
    "Be brief.",
    9,
  ]);
  assertEquals(
    run("/show", state).told,
    "model m\nsystem Be brief.\nmax-tokens 9\ntemperature 0.5\ntop-k 3",
  );
  run("/set system", state);
  run("/set top-k", state);
  assertEquals([state.system, state.sampling.topK], [null, undefined]);
  for (
    const [line, message] of [
      ["/set temperature hot", 'Cannot set temperature to "hot": A number of at least 0'],
      ["/set verbose maybe", "it is on or off"],
      ["/set frob 1", 'Cannot set "frob": choose one of system'],
      ["/save", "give the name of a file"],
      ["/load /nonexistent/chat", "there is no such file"],
      ["/frobnicate", "/help lists what there is"],
      ["/retry", "nothing was asked yet"],
    ]
  ) assertThrows(() => run(line, state), Error, message);
});

Deno.test("runCommand() retries, clears and leaves", () => {
  const state = chatState();
  const question = { role: "user", content: "a" } as const;
  state.messages = [question, { role: "assistant", content: "b" }];
  assertEquals([run("/retry", state).next, state.messages], ["answer", [question]]);
  assertEquals([run("/clear", state).next, state.messages], ["read", []]);
  assertEquals(run("/exit", state).next, "leave");
  assertEquals(["/x", "/?", "/etc/hosts", "a", "/"].map(isCommand), [
    true,
    true,
    false,
    false,
    false,
  ]);
  assertEquals(completeLine("/s"), ["/set", "/show", "/save"]);
  assertEquals(completeLine("/set temp"), ["/set temperature "]);
});

Deno.test("runCommand() saves over an earlier conversation, and over nothing else", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const state = chatState();
    state.messages = [{ role: "user", content: "a" }];
    run(`/save ${folder}/chat`, state);
    run(`/save ${folder}/chat`, state);
    await Deno.writeTextFile(`${folder}/mine`, "precious");
    assertThrows(() => run(`/save ${folder}/mine`, state), Error, "another file lies there");
    assertThrows(() => run(`/load ${folder}/mine`, state), Error, "no saved conversation");
    const other = chatState();
    assertEquals(run(`/load ${folder}/chat`, other).told, "Loaded 1 messages");
    assertEquals(other.messages, state.messages);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("harmless() leaves no character that steers a terminal", () => {
  assertEquals(harmless("a\tb\n\x1b[2J\x07\r\x9b1m é🙂"), "a\tb\n�[2J���1m é🙂");
});

Deno.test("readMessage() takes several lines as one message", async () => {
  const text = 'one\n"""\ntwo\n\nthree"""\nfour \\\nfive\n"""six"""\nend\\';
  using source = new PipedLines(ReadableStream.from([new TextEncoder().encode(text)]));
  const messages: string[] = [];
  for (let each = await readMessage(source); each !== null; each = await readMessage(source)) {
    messages.push(each);
  }
  assertEquals(messages, ["one", "\ntwo\n\nthree", "four \nfive", "six", "end\n"]);
});

Deno.test("History keeps lines from chat to chat, none that begin with a space, and bears broken files", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/new/history`;
    const history = new History(path);
    assertEquals(history.read(), []);
    for (const line of ["one", " secret", "two\nlines"]) history.add(line);
    assertEquals(new History(path).read(), ["two lines", "one"]);
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
    await Deno.writeTextFile(path, '{"no": "text"}\nnot json\n"fine"\n', { append: true });
    assertEquals(new History(path).read()[0], "fine");
    new History(`${path}/impossible`).add("x");
    new History(null).add("x");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
