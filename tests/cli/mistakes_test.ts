/** What people do wrong, and whether they are told what to do: one table. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { encodeGguf, type MetadataEntry, text } from "../../src/gguf/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { runCli, startCli } from "./run_cli.ts";
import { serveFaulty } from "../pull/faulty_server.ts";
import { honest } from "../pull/pull_support.ts";

/** Arguments, the exit status, and what is said; FOLDER has the files, nobody listens on CLOSED. */
type Mistake = readonly [args: string, code: number, message: string];

const MISTAKES: readonly Mistake[] = [
  // Paths and files.
  ["show EMPTY", 2, 'Cannot use "" as MODEL: it is empty: name one, or leave it out'],
  ["quantize FOLDER/tiny.gguf EMPTY --type q8_0", 2, 'Cannot use "" as OUT: it is empty'],
  ["rm EMPTY", 2, 'Cannot use "" as MODELS: it is empty'],
  ["logits FOLDER/tiny.gguf --tokens 1 --out EMPTY", 2, 'Cannot use --out "": it is empty'],
  ["run FOLDER/tiny.gguf a --image EMPTY", 2, 'Cannot use --image "": it is empty'],
  ["synth --shape llama-160m -o FOLDER", 1, "the path is a folder: give the path of a file"],
  ["doctor --dir FOLDER/none", 2, "there is no such folder"],
  ["plan FOLDER/words.gguf", 1, "it is a vocabulary only, good for tokenize and detokenize"],
  ["rm FOLDER/tiny.gguf", 1, "delete the file yourself"],
  ["rm built-in", 1, "it is a part of Ganglion"],
  ["run FOLDER/none.gguf a", 1, "there is no such file: check the path"],
  ["run FOLDER a", 1, "the path is a directory: give the path of a .gguf file"],
  ["run FOLDER/cut.gguf a", 1, "download the file again"],
  ["run FOLDER/empty.gguf a", 1, "the file is empty: download the file again"],
  ["run FOLDER/text.gguf a", 1, "it is another kind of file: check the path"],
  ["show tinny", 2, 'did you mean "tiny"?'],
  ["show other", 2, "none was pulled under that name: ganglion list says which were"],
  ["run Hello", 2, 'to ask the built-in model: ganglion run built-in "Hello"'],
  ["perplexity FOLDER/tiny.gguf --file FOLDER/none", 1, "no such file: check the path"],
  ["tokenize FOLDER/tiny.gguf --file FOLDER", 1, "it is a directory: give the path of a file"],
  ["pack FOLDER/tiny.gguf --stats FOLDER/none", 1, "there is no such file: check the path"],
  ["pack FOLDER/tiny.gguf -o FOLDER/none/x", 1, "there is no such folder: make it first"],
  ["profile FOLDER/tiny.gguf -o FOLDER/none/x", 1, "there is no such folder: make it first"],
  ["profile FOLDER/tiny.gguf -o FOLDER/x --svg FOLDER", 1, "the path is a folder: give the path"],
  ["train FOLDER/tiny.gguf --file FOLDER/text.gguf -o FOLDER/none/x", 1, "there is no such folder"],
  ["logits FOLDER/tiny.gguf --tokens 1 --out FOLDER/none/x", 1, "there is no such folder"],
  ["logits FOLDER/tiny.gguf --tokens 1 --out FOLDER", 1, "the path is a folder"],
  // Flags and their values.
  [
    "run FOLDER/tiny.gguf a --raw --chat-template-kwargs {}",
    2,
    "-kwargs with --raw: leave out one",
  ],
  ["run FOLDER/tiny.gguf a --raw --chat-template-file x", 2, "-file with --raw: leave out one of"],
  ["run FOLDER/tiny.gguf a --chat-template-file FOLDER/empty.gguf", 1, "template: it is empty"],
  [
    "serve FOLDER/tiny.gguf FOLDER/words.gguf --chat-template-file x",
    2,
    "Cannot use --chat-template-file with several models",
  ],
  ["serve FOLDER/tiny.gguf --thinking-budget -1", 2, "A whole number of at least 0 is needed"],
  ["runn a", 2, "(Did you mean run?)"],
  ["--frob", 2, "See ganglion --help"],
  ["run FOLDER/tiny.gguf two words", 2, "A prompt of several words is one argument"],
  ["ps --url localhost:11711", 2, "An address is needed, such as http://127.0.0.1:11711"],
  ["run FOLDER/tiny.gguf a --temprature 1", 2, "(Did you mean --temperature?)"],
  ["run FOLDER/tiny.gguf a --ctx 64", 2, "See ganglion run --help"],
  ["run FOLDER/tiny.gguf a --threads many", 2, "A whole number from 1 to 64 is needed"],
  ["run FOLDER/tiny.gguf a --memory 12XB", 2, "such as 2GiB, 512MiB or a number of bytes"],
  ["run FOLDER/tiny.gguf a --gpu maybe", 2, "Allowed choices are auto, off, on, force"],
  ["quantize FOLDER/tiny.gguf FOLDER/x.gguf --type Q9", 2, "Allowed choices are F32, F16"],
  ["tokenize FOLDER/tiny.gguf", 2, "give --text or --file"],
  ["logits FOLDER/tiny.gguf --tokens 1,999 --out FOLDER/x", 2, "Cannot use the id 999: the ids of"],
  ["detokenize FOLDER/tiny.gguf --ids 1,999", 2, "Cannot use the id 999: the ids of this"],
  // What the machine has not.
  ["run FOLDER/tiny.gguf a --memory 64KiB", 1, "or raise --memory"],
  ["serve FOLDER/tiny.gguf --host 203.0.113.7", 1, "give one that has with --host, or 0.0.0.0"],
  // Settings.
  ["serve --config FOLDER/text.gguf", 2, 'it is to be JSON, such as {"threads": 4}'],
  ["serve --config FOLDER/none", 2, "there is no such file: check the path"],
  ["serve --api-key-file FOLDER/none", 2, "there is no such file: check the path"],
  // Others' servers.
  ["pull tiny", 2, "give hf:user/repo:QUANT, or the https address of a .gguf file"],
  ["pull http://127.0.0.1:9/x.gguf", 1, "Requests to port 9 are blocked"],
  ["pull http://127.0.0.1:CLOSED/x.gguf --retries 0", 1, "Connection refused"],
  ["ps --port CLOSED", 1, "Connection refused: start one with ganglion serve"],
];

Deno.test("mistakes are answered with what to do, in a line or two, and no stack", async () => {
  await withFiles(async (folder) => {
    const closed = String(closedPort());
    const say = async ([args, code, message]: Mistake) => {
      const words = args.split(" ").map((word) =>
        word.replace("FOLDER", folder).replace("CLOSED", closed).replace("EMPTY", "")
      );
      const { stderr, ...result } = await runCli(words, { env: { GANGLION_MODELS_DIR: folder } });
      assertStringIncludes(stderr, message, args);
      assertEquals([result.code, result.stdout], [code, ""], args);
      assertMatch(stderr, /^error: /, args);
      assertEquals(/\n +at |os error|undefined|\[object/.test(stderr), false, stderr);
    };
    for (const mistake of MISTAKES) await say(mistake);
  });
});

Deno.test("serve on a port that is taken says so, and how to take another", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const { code, stderr } = await runCli(["serve", "--port", String(port)]);
  assertStringIncludes(stderr, `port ${port}: the port is in use: choose another with --port`);
  assertEquals(code, 1);
});

Deno.test("pull that is interrupted says that what came is kept", async () => {
  await withFiles(async (folder) => {
    await using server = serveFaulty(() => ({ ...honest(), pace: { bytes: 4096, ms: 50 } }));
    const env = { GANGLION_MODELS_DIR: `${folder}/store` };
    const child = startCli(["pull", `${server.url}/tiny.gguf`], { env });
    const errors = child.stderr.pipeThrough(new TextDecoderStream());
    let said = "";
    for await (const piece of errors) {
      said += piece;
      if (piece.includes("Pulling")) child.kill("SIGINT");
    }
    assertMatch(said, /Interrupted: what came is kept, and the same command goes on/);
    assertEquals((await child.status).code, 130);
    await Promise.all([child.stdin.close(), child.stdout.cancel()]);
  });
});

Deno.test("pull asks a server once whose certificate nobody vouches for, and says so", async () => {
  await withFiles(async (folder) => {
    const pem = (name: string) =>
      Deno.readTextFileSync(new URL(`../server/tls/${name}.pem`, import.meta.url));
    const tls = { cert: pem("cert"), key: pem("key") };
    const listen = { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls };
    await using server = Deno.serve(listen, () => new Response("never"));
    const env = { GANGLION_MODELS_DIR: folder };
    const { code, stderr } = await runCli(
      ["pull", `https://127.0.0.1:${server.addr.port}/other.gguf`],
      { env },
    );
    assertMatch(stderr, /^error: Cannot pull .*the connection failed \(.*certificate/);
    assertEquals([code, stderr.includes("trying again")], [1, false], stderr);
  });
});

/** What tokenizers are tried with. */
function withoutWeights(): Uint8Array {
  const metadata: MetadataEntry[] = [["general.architecture", text("llama")]];
  return encodeGguf({ metadata, tensors: [] });
}

/** A port that was free a moment ago. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** A folder with a model, and files that are none. */
async function withFiles(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const model = tinyModel();
  try {
    await Deno.writeFile(`${folder}/tiny.gguf`, model);
    await Deno.writeFile(`${folder}/cut.gguf`, model.subarray(0, model.length - 1000));
    await Deno.writeFile(`${folder}/words.gguf`, withoutWeights());
    await Deno.writeTextFile(`${folder}/empty.gguf`, "");
    await Deno.writeTextFile(`${folder}/text.gguf`, "hello");
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
