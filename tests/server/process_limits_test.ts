/** A server whose process runs out of what the system gives it. */
import { assert, assertEquals } from "@std/assert";

const SCRIPT = new URL("../bench/overload_server.ts", import.meta.url).pathname;
const MODEL = { parallel: 1, waitingMax: 1, stepMs: 1, pieces: 2 };

// fault 58: no descriptor is left.
Deno.test({
  name: "serve() lives through more connections than the process may have files open",
  ignore: Deno.build.os === "windows",
  async fn() {
    const run = `ulimit -n 64 && exec "$0" run --no-check -A "$1" '${JSON.stringify(MODEL)}'`;
    const child = new Deno.Command("sh", {
      args: ["-c", run, Deno.execPath(), SCRIPT],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    try {
      const url = ((await lines.read()).value ?? "").trim();
      assert(url !== "", "it started");
      const { hostname, port } = new URL(url);
      const sockets = await Promise.all(
        // Some are reset, when the listener that had them in its queue has gone.
        Array.from(
          { length: 200 },
          () => Deno.connect({ hostname, port: Number(port) }).catch(() => null),
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (const socket of sockets) socket?.close();
      const deadlineMs = performance.now() + 5_000;
      let status = 0;
      while (status !== 200 && performance.now() < deadlineMs) {
        const signal = AbortSignal.timeout(1_000);
        const response = await fetch(`${url}/health`, { signal }).catch(() => null);
        await response?.body?.cancel();
        status = response?.status ?? 0;
      }
      assertEquals(status, 200, "it answers again when they have gone");
    } finally {
      await child.stdin.close();
      await lines.cancel();
      await child.status;
    }
  },
});
