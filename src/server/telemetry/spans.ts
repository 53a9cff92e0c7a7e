/**
 * Spans for OpenTelemetry, sent by Deno's own exporter when OTEL_DENO is set: no package is needed.
 * Deno makes the span of each request; these lie within it (`withinRequestSpan`). Knows nothing of
 * what they are about.
 */

/** The part of OpenTelemetry's Span that is used here. */
export interface Span {
  setAttribute(name: string, value: string | number | boolean): unknown;
  /** code 2: an error. */
  setStatus(status: { readonly code: number; readonly message?: string }): unknown;
  end(): void;
}

/** The part of OpenTelemetry's Tracer that is used here. */
export interface Tracer {
  startSpan(
    name: string,
    options: { readonly attributes: Readonly<Record<string, string | number | boolean>> },
  ): Span;
}

/** `Span.setStatus`'s code of an error. */
export const STATUS_ERROR = 2;

/** Deno's tracer; null where the process was started without OTEL_DENO. */
export function findTracer(): Tracer | null {
  try {
    const tracer: Tracer = Deno.telemetry.tracerProvider.getTracer("ganglion");
    // Throws where telemetry is off. A span that is never ended is never sent.
    tracer.startSpan("probe", { attributes: {} });
    return tracer;
  } catch {
    return null;
  }
}

/** OpenTelemetry's key of the span that others lie within. */
const SPAN_KEY = Symbol.for("OpenTelemetry Context Key SPAN");

/**
 * Runs `work` within the span that Deno's `node:http` has made of `outgoing`'s request: it keeps it
 * there without entering it (2.9.6). Where there is none, `work` just runs.
 */
export function withinRequestSpan<T>(outgoing: object, work: () => T): T {
  const key = Object.getOwnPropertySymbols(outgoing)
    .find(({ description }) => description === "kOtelSpan");
  if (key === undefined) return work();
  const span: unknown = Reflect.get(outgoing, key);
  const contexts: ContextManager = Deno.telemetry.contextManager;
  return contexts.with(contexts.active().setValue(SPAN_KEY, span), work);
}

/** The part of OpenTelemetry's ContextManager that is used here. */
interface ContextManager {
  active(): { setValue(key: symbol, value: unknown): unknown };
  with<T>(context: unknown, work: () => T): T;
}
