/**
 * `ganglion` for a document's shell: each verb is a process the first time, with the permissions
 * that its users give it; later command lines run within the test's process, which saves most of
 * what they take (run_here.ts). Knows nothing of servers, which are processes always.
 */
import { IS_DEEP } from "../support/deep.ts";
import { runHere } from "../cli/run_here.ts";

/** Verbs that have been processes. */
const known = new Set<string>();

/** What says to a script that it has to start a process. */
const START = "start";

export interface ProgramOptions {
  /** Starts the program as a process: words of a shell, without those behind the program. */
  readonly start: string;
  /** The real curl. */
  readonly curl: string;
  /** A folder for what is said, which is there as long as the program is. */
  readonly folder: string;
}

/** The program of one document. */
export class ProgramHere implements AsyncDisposable {
  /** A script for sh. */
  readonly script: string;
  readonly #folder: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor({ start, curl, folder }: ProgramOptions) {
    this.#folder = folder;
    const hostname = "127.0.0.1";
    this.#server = Deno.serve({ port: 0, hostname, onListen: () => {} }, async (request) => {
      const form = new URLSearchParams(await request.text());
      return new Response(await this.#run(form.getAll("word"), form));
    });
    const said = `${folder}/said.$$`;
    this.script = `[ "$1" = serve ] && exec env ${start} "$@"
cat > "${said}.in"
code=$(
  for word; do shift; set -- "$@" --data-urlencode "word=$word"; done
  "${curl}" -sS --data-urlencode "cwd=$PWD" --data-urlencode "port=$GANGLION_PORT" \\
    --data-urlencode "config=$XDG_CONFIG_HOME" --data-urlencode "id=$$" \\
    --data-urlencode "stdin@${said}.in" "$@" \\
    http://${hostname}:${this.#server.addr.port}
)
[ "$code" = ${START} ] && exec env ${start} "$@" < "${said}.in"
cat "${said}.out"
cat "${said}.err" >&2
exit "$code"`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  /** Runs one command line; what it said is in files then. Returns its exit status, or `START`. */
  async #run(args: readonly string[], form: URLSearchParams): Promise<string> {
    const verb = args[0] ?? "";
    if (IS_DEEP || !known.has(verb)) {
      known.add(verb);
      return START;
    }
    const before = Deno.cwd();
    Deno.chdir(form.get("cwd")!);
    try {
      const { code, stdout, stderr } = await runHere({
        args,
        stdin: form.get("stdin") ?? "",
        env: {
          GANGLION_PORT: form.get("port")!,
          GANGLION_THREADS: "1",
          XDG_CONFIG_HOME: form.get("config")!,
          NO_COLOR: "1",
        },
      });
      const said = `${this.#folder}/said.${form.get("id")}`;
      await Deno.writeFile(`${said}.out`, stdout);
      await Deno.writeFile(`${said}.err`, stderr);
      return String(code);
    } finally {
      Deno.chdir(before);
    }
  }
}
