import { assertEquals, assertStringIncludes } from "@std/assert";
import { Log, type LogOptions } from "../../src/base/log.ts";

function lines(options: Partial<LogOptions>, use: (log: Log) => void): string[] {
  const written: string[] = [];
  use(new Log({ now: () => 0, write: (line) => written.push(line), ...options }));
  return written;
}

Deno.test("Log writes an event a line, with the fields that there are", () => {
  const [json] = lines(
    {},
    (log) => log.info("request", { status: 200, path: "/", user: undefined }),
  );
  assertEquals(
    json,
    `{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"request","status":200,"path":"/"}`,
  );
  const [text] = lines({ form: "text" }, (log) => log.warn("slow", { id: "req_1", name: "a b" }));
  assertEquals(text, `1970-01-01T00:00:00.000Z warn  slow id=req_1 name="a b"`);
});

Deno.test("Log leaves out what is less important than its level", () => {
  const all = (log: Log) => {
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d", new Error("why"));
  };
  assertEquals(lines({ level: "debug" }, all).length, 4);
  assertEquals(lines({}, all).length, 3);
  const [last] = lines({ level: "error" }, all);
  assertStringIncludes(JSON.parse(last).error, "Error: why");
});

Deno.test("Log keeps what clients send on one line, and out of a terminal's hands", () => {
  const evil = 'x\n{"level":"info"}\r\u2028\x1b[2J\x9b2J\u202e"\ud800\0';
  for (const form of ["json", "text"] as const) {
    const [line, ...more] = lines({ form }, (log) => log.info("e", { evil, other: evil }));
    assertEquals(more, []);
    // deno-lint-ignore no-control-regex
    assertEquals(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800]/.test(line), false, line);
    if (form === "json") assertEquals(JSON.parse(line).evil, evil);
  }
  const [long] = lines({}, (log) => log.info("e", { long: "x".repeat(10 ** 6) }));
  assertEquals(JSON.parse(long).long.length, 8192);
});
