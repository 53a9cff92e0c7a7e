/** Clients of a server under load: patient ones, those that vanish, and those that do not read. */

/** What became of a request. */
export interface Outcome {
  /** HTTP status; 0: no answer came. */
  readonly status: number;
  /** From sending to the status, in milliseconds. */
  readonly statusMs: number;
  /** To the first piece of the answer's text; null: none came. */
  readonly firstMs: number | null;
  /** The whole answer came, and no error in it. */
  readonly isWhole: boolean;
  readonly retryAfter: string | null;
}

const BODY = JSON.stringify({ stream: true, messages: [{ role: "user", content: "Hi" }] });

function chat(url: string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, { method: "POST", body: BODY, signal });
}

/** Asks, and reads to the end. */
export async function ask(url: string): Promise<Outcome> {
  const startMs = performance.now();
  const since = () => performance.now() - startMs;
  let response: Response;
  try {
    response = await chat(url);
  } catch {
    const nothing = { status: 0, firstMs: null, isWhole: false, retryAfter: null };
    return { ...nothing, statusMs: since() };
  }
  const statusMs = since();
  const { status } = response;
  const retryAfter = response.headers.get("retry-after");
  if (status !== 200) {
    await response.body?.cancel();
    return { status, statusMs, firstMs: null, isWhole: false, retryAfter };
  }
  let firstMs: number | null = null;
  let end = "";
  try {
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      if (firstMs === null && /"content":"[^"]/.test(piece)) firstMs = since();
      end = (end + piece).slice(-500);
    }
  } catch {
    end = "";
  }
  const isWhole = end.endsWith("data: [DONE]\n\n") && !end.includes('"error"');
  return { status, statusMs, firstMs, isWhole, retryAfter };
}

/** Asks so often a second, whatever becomes of it, and waits for all. */
export async function offer(
  url: string,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Outcome[]> {
  const outcomes: Promise<Outcome>[] = [];
  const startMs = performance.now();
  const total = Math.round(perSecond * seconds);
  while (outcomes.length < total) {
    const due = Math.min(total, Math.floor((performance.now() - startMs) / 1000 * perSecond) + 1);
    while (outcomes.length < due) outcomes.push(ask(url));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return await Promise.all(outcomes);
}

/** Asks and goes away after so many milliseconds, at whatever point that is. */
export async function vanish(url: string, afterMs: number): Promise<void> {
  const client = new AbortController();
  const timer = setTimeout(() => client.abort(), afterMs);
  try {
    await (await chat(url, client.signal)).text();
  } catch {
    // That is what it is about.
  } finally {
    clearTimeout(timer);
  }
}

/** A client that asks and reads nothing, until it is closed. */
export async function neverRead(url: string): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(url);
  const socket = await Deno.connect({ hostname, port: Number(port) });
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n`;
  const text = `${head}Content-Length: ${BODY.length}\r\n\r\n${BODY}`;
  await socket.write(new TextEncoder().encode(text));
  return socket;
}

/** A number of the server's metrics; of several series, their sum. */
export async function metric(url: string, name: string): Promise<number> {
  return metricIn(await (await fetch(`${url}/metrics`)).text(), name);
}

/** The same of metrics that are there already, as text. */
export function metricIn(text: string, name: string): number {
  const lines = text.split("\n").filter((line) =>
    line.startsWith(name) && /^[{ ]/.test(line.slice(name.length))
  );
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/** The nearest-rank percentile, `share` from 0 to 1; NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}
