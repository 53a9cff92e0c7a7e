/** `run` as a chat on a terminal: what is typed, and what is shown. */
import { assertEquals, assertMatch } from "@std/assert";
import { withTinyModel } from "../run_cli.ts";
import { type Terminal, whyNoTerminal, withTerminal } from "../terminal.ts";

const reason = whyNoTerminal();
if (reason !== null) console.log(`skipping terminals: ${reason}`);

/** A chat with a tiny model; its files lie in `folder`. */
async function withChat(
  use: (terminal: Terminal, folder: string) => Promise<void>,
  ...flags: string[]
): Promise<void> {
  await withTinyModel(async (path, folder) => {
    const args = ["run", path, "--threads", "1", "--seed", "1", "--max-tokens", "3", ...flags];
    await withTerminal(args, { XDG_STATE_HOME: folder }, (terminal) => use(terminal, folder));
  }, { contextLength: 8192, vocabSize: 8192 });
}

/** Types a line when the prompt is there, and forgets what was shown before. */
async function say({ log, see, type }: Terminal, line: string): Promise<void> {
  await see(/> .\[3G$/);
  log.text = "";
  await type(`${line}\r`);
}

const ignore = reason !== null;

Deno.test({
  name: "run on a terminal answers, takes commands and several lines, and keeps a history",
  ignore,
  fn: () =>
    withChat(async (terminal, folder) => {
      const { see, type, ended } = terminal;
      await see(/tiny: \/help says what there is/);
      await say(terminal, "/set temperature 0");
      await say(terminal, "/set verbose on");
      await say(terminal, "first");
      await see(/\[prompt \d+ tokens, .*; answer \d+ tokens, .* tok\/s; \w+\]/);
      await say(terminal, '"""one');
      await see(/\. .\[3G$/);
      await type('two"""\r');
      await see(/\[prompt /);
      await say(terminal, "/hlep");
      await see(/Cannot do \/hlep: did you mean \/help\?/);
      await say(terminal, "/set tempreture 1");
      await see(/Cannot set "tempreture": "temperature"\?/);
      await say(terminal, `/save ${folder}/chat.json`);
      await see(/Saved 4 messages/);
      const saved = JSON.parse(await Deno.readTextFile(`${folder}/chat.json`));
      assertEquals(saved.messages[2], { role: "user", content: "one\ntwo" });
      await say(terminal, "/clear");
      await say(terminal, "/show");
      await see(/conversation 0 messages, 0 of 8192 tokens\r\ntemperature|max-tokens 3/);
      // Up, twice: what was typed two lines before.
      await say(terminal, "\x1b[A\x1b[A");
      await see(/\/clear/);
      await say(terminal, `/load ${folder}/chat.json`);
      await see(/Loaded 4 messages/);
      await say(terminal, "/bye");
      assertEquals(await ended, 0);
      const history = await Deno.readTextFile(`${folder}/ganglion/history`);
      assertMatch(history, /^"\/set temperature 0"\n"\/set verbose on"\n"first"\n/);
    }),
});

Deno.test({
  name: "Ctrl-C on a terminal stops an answer, empties a line, and leaves when it comes twice",
  ignore,
  fn: () =>
    withChat(
      async (terminal) => {
        const { log, see, type, interrupt, ended } = terminal;
        await say(terminal, "tell");
        await see(/tell\r+\n[^]{200}/);
        await type("\x03");
        await say(terminal, "/show");
        const [, count] = await see(/conversation 2 messages, (\d+) of 8192/);
        assertEquals(Number(count) < 8000, true);
        await see(/> .\[3G$/);
        await type("half a line\x03");
        await say(terminal, "/show");
        await see(/conversation 2 messages/);
        // One that comes just as an answer ends is a signal: nobody waits for it.
        await see(/> .\[3G$/);
        interrupt();
        // However fast they come, those at a prompt are keys and no signals.
        for (let i = 0; i < 40; i++) {
          await see(/> .\[3G$/);
          log.text = "";
          await type("x\x03");
          await new Promise((resolve) => setTimeout(resolve, i / 10));
          await type("\x03");
          await see(/Ctrl-C again, or \/bye, leaves/);
        }
        await see(/> .\[3G$/);
        await type("\x03");
        assertEquals(await ended, 0);
      },
      // As good as never at an end by itself: any of 8,192 tokens may come.
      ..."--max-tokens 8000 --temperature 50 --top-k 0 --top-p 1 --min-p 0 --private".split(" "),
    ),
});
