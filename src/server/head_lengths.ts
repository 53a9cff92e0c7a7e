/** HEAD says how long GET's answer is. Knows nothing of what is asked. */
import type { MiddlewareHandler } from "hono";
import type { ServerEnv } from "./guards.ts";

/**
 * Gives answers to HEAD the length of what GET would send, which the router drops with its body.
 * Answers to GET are short texts here, and none is a stream.
 */
export function headLengths(): MiddlewareHandler<ServerEnv> {
  return async (c, next) => {
    await next();
    if (c.req.method !== "HEAD" || c.res.body === null) return;
    const { byteLength } = await c.res.arrayBuffer();
    const { status, headers } = c.res;
    c.res = undefined;
    c.res = new Response(null, { status, headers });
    c.res.headers.set("content-length", String(byteLength));
  };
}
